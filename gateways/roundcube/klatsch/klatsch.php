<?php

declare(strict_types=1);

/**
 * klatsch in Roundcube: who of the colleagues is there, and a chat at the foot of the page.
 *
 * The page asks this plugin, and this plugin asks klatsch with the login that the webmail has: the
 * password stays here. The chat itself is a frame of klatsch's own origin, which logs in with a
 * token that is good once. Settings: config.inc.php.dist.
 *
 * @license AGPL-3.0-or-later
 */
class klatsch extends rcube_plugin
{
    /** Everywhere but at the door. */
    public $task = '(?!login|logout).*';

    private const ACTIONS = ['state', 'show', 'chat', 'token'];
    private const SCRIPTS = ['hub', 'dots', 'dock', 'toolbar', 'page'];
    private const MENU = ['auto', 'online', 'away', 'dnd', 'xa'];

    private rcmail $rcmail;

    public function init(): void
    {
        $this->rcmail = rcmail::get_instance();
        $this->load_config();
        if ($this->origin() === '') {
            return;
        }
        foreach (self::ACTIONS as $action) {
            $this->register_action("plugin.klatsch.$action", [$this, 'answer']);
        }
        $this->add_hook('startup', [$this, 'draw']);
    }

    /**
     * Puts into a page what is ours.
     *
     * @param array<string, mixed> $args
     *
     * @return array<string, mixed>
     */
    public function draw(array $args): array
    {
        $output = $this->rcmail->output;
        if (empty($_SESSION['user_id']) || !$output instanceof rcmail_output_html || $args['action'] === 'print') {
            return $args;
        }
        $this->add_texts('localization/', true);
        $output->set_env('klatsch_origin', $this->origin());
        $this->include_stylesheet($this->local_skin_path() . '/klatsch.css');
        foreach (self::SCRIPTS as $script) {
            $this->include_script("js/$script.js");
        }
        if (empty($_REQUEST['_framed'])) {
            $this->drawToolbar($output);
        }
        if ($args['task'] === 'mail' && in_array($args['action'], ['show', 'preview'], true)) {
            $this->drawMessage();
        }

        return $args;
    }

    /**
     * Answers what a page asks.
     */
    public function answer(): void
    {
        $token = (string) rcube_utils::request_header('X-Roundcube-Request');
        $isOurs = $_SERVER['REQUEST_METHOD'] === 'POST' && hash_equals($this->rcmail->get_request_token(), $token);
        // A form of another page's may post, but it cannot say this header. And the answer is data,
        // whatever opens it.
        header("Content-Security-Policy: default-src 'none'; frame-ancestors 'none'");
        if (!$isOurs || !$this->rcmail->output instanceof rcmail_output_json) {
            http_response_code(403);
            exit;
        }
        $this->rcmail->output->command('plugin.klatsch', $this->ask($this->rcmail->action));
        $this->rcmail->output->send();
    }

    /**
     * @return array<string, mixed>
     */
    private function ask(string $action): array
    {
        require_once __DIR__ . '/lib/ApiError.php';
        require_once __DIR__ . '/lib/Api.php';
        require_once __DIR__ . '/lib/Login.php';
        require_once __DIR__ . '/lib/RoundcubeLogin.php';
        require_once __DIR__ . '/lib/Account.php';
        require_once __DIR__ . '/lib/Cards.php';
        require_once __DIR__ . '/lib/RoundcubeCards.php';
        if (!is_array($_SESSION['klatsch'] ?? null)) {
            $_SESSION['klatsch'] = [];
        }
        $api = new Klatsch\Api($this->rcmail->get_http_client(), $this->address('klatsch_url'));
        $login = new Klatsch\RoundcubeLogin($this->rcmail);
        $cards = fn (): array => (new Klatsch\RoundcubeCards($this->rcmail))->map();
        $account = new Klatsch\Account($api, $login, $_SESSION['klatsch'], static fn (): int => time(), $cards);
        $given = static fn (string $name): mixed => rcube_utils::get_input_value($name, rcube_utils::INPUT_POST);

        return match ($action) {
            'plugin.klatsch.state' => $account->state($given('_addresses')),
            'plugin.klatsch.show' => $account->show($given('_show'), $given('_status')),
            'plugin.klatsch.chat' => $account->chat($given('_with')),
            default => $account->token(),
        };
    }

    private function drawToolbar(rcmail_output_html $output): void
    {
        $this->add_button([
            'type' => 'link',
            'href' => '#',
            'id' => 'klatsch-button',
            'class' => 'klatsch-button',
            'innerclass' => 'inner',
            'label' => 'klatsch.chat',
            'title' => 'klatsch.chat',
            'data-popup' => 'klatsch-menu',
            'data-popup-pos' => 'right',
        ], 'taskbar');
        $items = $this->menuItem('klatsch-open', 'klatsch-open', '', 'open_chat');
        foreach (self::MENU as $show) {
            $dot = html::span(['class' => 'klatsch-dot', 'data-show' => $show, 'aria-hidden' => 'true'], '');
            $items .= $this->menuItem("klatsch-show-$show", 'klatsch-show', $dot, "show_$show", ['data-show' => $show, 'aria-pressed' => 'false']);
        }
        $title = html::tag('h3', ['id' => 'aria-label-klatsch-menu', 'class' => 'voice'], rcube::Q($this->gettext('own_presence')));
        $quiet = html::p(['class' => 'klatsch-quiet', 'role' => 'status', 'hidden' => 'hidden'], rcube::Q($this->gettext('down')));
        $list = html::tag('ul', ['class' => 'menu listing', 'role' => 'menu', 'aria-labelledby' => 'aria-label-klatsch-menu'], $items);
        $output->add_footer(html::div(['id' => 'klatsch-menu', 'class' => 'popupmenu'], $title . $quiet . $list));
    }

    private function drawMessage(): void
    {
        $this->add_button([
            'type' => 'link',
            'href' => '#chat',
            'id' => 'klatsch-sender',
            'class' => 'klatsch-sender hidden',
            'label' => 'klatsch.chat_with_sender',
        ], 'headerlinks');
        $this->api->add_content($this->menuItem('klatsch-mailto', 'klatsch-mailto', '', 'chat'), 'mailtomenu');
    }

    /**
     * @param array<string, string> $more
     */
    private function menuItem(string $id, string $class, string $icon, string $label, array $more = []): string
    {
        $attributes = ['href' => '#', 'id' => $id, 'class' => "$class active", 'role' => 'button', 'tabindex' => '-1'] + $more;
        $text = $icon . html::span('inner', rcube::Q($this->gettext($label)));

        return html::tag('li', ['role' => 'menuitem'], html::a($attributes, $text));
    }

    /**
     * An address from the settings; empty when it is none.
     */
    private function address(string $name): string
    {
        $url = rtrim((string) $this->rcmail->config->get($name, ''), '/');

        return preg_match('#^https?://[^\s/?\#@]+$#', $url) === 1 ? $url : '';
    }

    /**
     * The origin that the frame has; empty when the plugin is not set up, or when passwords would go
     * to klatsch for everybody to read.
     */
    private function origin(): string
    {
        $isHidden = preg_match('#^(https://|http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:|$))#', $this->address('klatsch_url')) === 1;

        return $isHidden ? $this->address('klatsch_public_url') : '';
    }
}
