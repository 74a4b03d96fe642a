<?php

declare(strict_types=1);

namespace Klatsch;

use GuzzleHttp\ClientInterface;
use GuzzleHttp\Exception\GuzzleException;
use GuzzleHttp\RequestOptions;

/**
 * The part of klatsch's HTTP API that a webmail needs: one method for each request, plain values
 * out, every failure an ApiError. Waits two seconds at most: somebody's mail may wait behind it.
 */
final class Api
{
    /** What somebody may be shown as, and `auto` for what their clients say. */
    public const SHOWS = ['auto', 'online', 'chat', 'away', 'xa', 'dnd'];

    private const CONNECT_SECONDS = 1;
    private const ANSWER_SECONDS = 2;

    private string $base;

    public function __construct(private ClientInterface $http, string $url)
    {
        $this->base = rtrim($url, '/') . '/api/v1/';
    }

    /**
     * A token with which a browser logs in once, within a minute.
     *
     * @return array{token: string, jid: string}
     */
    public function token(string $user, string $password): array
    {
        $answer = $this->ask('POST', 'token', self::basic($user, $password), ['audience' => 'xmpp']);

        return ['token' => self::text($answer, 'token'), 'jid' => self::text($answer, 'jid')];
    }

    /**
     * A token for the requests below.
     *
     * @return array{token: string, seconds: int}
     */
    public function session(string $user, string $password): array
    {
        $answer = $this->ask('POST', 'session', self::basic($user, $password), []);

        return ['token' => self::text($answer, 'token'), 'seconds' => self::number($answer, 'expires_in')];
    }

    /**
     * How people are. Whom one may not see looks like nobody: `unknown`.
     *
     * @param string[] $addresses At most 200
     *
     * @return array<string, array{show: string, status: string}>
     */
    public function presence(string $session, array $addresses): array
    {
        $answer = $this->ask('POST', 'presence', self::bearer($session), ['addresses' => $addresses]);
        $presence = [];
        foreach ((array) ($answer['presence'] ?? []) as $address => $seen) {
            $presence[(string) $address] = self::seen((array) $seen);
        }

        return $presence;
    }

    /**
     * How the account itself is shown, what it wishes to be shown as, and how much it has not read.
     *
     * @return array{jid: string, show: string, status: string, wish: string, unread: int}
     */
    public function me(string $session): array
    {
        $answer = $this->ask('GET', 'me', self::bearer($session));

        $wish = $answer['wish'] ?? null;

        return ['jid' => self::text($answer, 'jid')]
            + self::seen($answer)
            + ['wish' => in_array($wish, self::SHOWS, true) ? $wish : 'auto', 'unread' => self::number($answer, 'unread')];
    }

    /**
     * Says how the account wants to be shown.
     */
    public function setPresence(string $session, string $show, string $status): void
    {
        $this->ask('PUT', 'me/presence', self::bearer($session), ['show' => $show, 'status' => $status]);
    }

    /**
     * The account to write to at an address; an ApiError with the status 404 where nobody can be.
     */
    public function chat(string $session, string $with): string
    {
        return self::text($this->ask('POST', 'chats', self::bearer($session), ['with' => $with]), 'jid');
    }

    /**
     * @param array<string, mixed>|null $body
     *
     * @return array<string, mixed>
     */
    private function ask(string $method, string $path, string $authorization, ?array $body = null): array
    {
        $options = [
            RequestOptions::HEADERS => ['Authorization' => $authorization, 'Accept' => 'application/json'],
            RequestOptions::CONNECT_TIMEOUT => self::CONNECT_SECONDS,
            RequestOptions::TIMEOUT => self::ANSWER_SECONDS,
            RequestOptions::HTTP_ERRORS => false,
            // A password follows nobody elsewhere.
            RequestOptions::ALLOW_REDIRECTS => false,
        ];
        if ($body !== null) {
            $options[RequestOptions::JSON] = (object) $body;
        }
        try {
            $response = $this->http->request($method, $this->base . $path, $options);
            $answer = json_decode((string) $response->getBody(), true);
        } catch (GuzzleException | \RuntimeException) {
            // The exception knows the request, with its password: it goes no further.
            throw new ApiError(0, 'unreachable');
        }
        $status = $response->getStatusCode();
        if ($status < 200 || $status > 299) {
            $name = is_array($answer) && is_string($answer['error'] ?? null) ? $answer['error'] : 'unexpected';
            throw new ApiError($status, $name);
        }

        return is_array($answer) ? $answer : [];
    }

    private static function basic(string $user, string $password): string
    {
        return 'Basic ' . base64_encode("$user:$password");
    }

    private static function bearer(string $session): string
    {
        return "Bearer $session";
    }

    /**
     * @param array<string, mixed> $answer
     *
     * @return array{show: string, status: string}
     */
    private static function seen(array $answer): array
    {
        $show = $answer['show'] ?? null;
        $status = $answer['status'] ?? null;

        return ['show' => is_string($show) ? $show : 'unknown', 'status' => is_string($status) ? $status : ''];
    }

    /**
     * @param array<string, mixed> $answer
     */
    private static function text(array $answer, string $name): string
    {
        $text = $answer[$name] ?? null;

        return is_string($text) && $text !== '' ? $text : throw new ApiError(0, 'unexpected');
    }

    /**
     * @param array<string, mixed> $answer
     */
    private static function number(array $answer, string $name): int
    {
        $number = $answer[$name] ?? null;

        return is_int($number) && $number >= 0 ? $number : 0;
    }
}
