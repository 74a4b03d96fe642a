<?php

declare(strict_types=1);

namespace Klatsch;

/**
 * Somebody's account, as their webmail uses it: what is answered to the page.
 *
 * Remembers in the webmail's session a token for the API, so that the password is asked for seldom,
 * and a failure, so that a klatsch that is down costs one request two seconds, and then none a
 * while. Never throws: the page hears `up: false`.
 */
final class Account
{
    /** After no answer: short, for it may have been a restart. */
    private const DOWN_SECONDS = 20;

    /** After a no: the account has no chat, or is locked; nothing that changes by the minute. */
    private const REFUSED_SECONDS = 300;

    /** A token this close to its end might not live to the end of the request. */
    private const MARGIN_SECONDS = 30;

    /** Cards are read again so often. */
    private const CARDS_SECONDS = 600;

    private const ADDRESSES_MAX = 200;
    private const ADDRESS_BYTES_MAX = 320;
    private const STATUS_CHARACTERS_MAX = 200;

    /**
     * @param array<string, mixed>             $memory What is kept between requests, read and written
     * @param \Closure(): int                  $now    Seconds
     * @param \Closure(): array<string,string> $cards  Who has another chat address than their mail address
     */
    public function __construct(
        private Api $api,
        private Login $login,
        private array &$memory,
        private \Closure $now,
        private \Closure $cards,
    ) {
    }

    /**
     * How people and the account itself are.
     *
     * @return array<string, mixed>
     */
    public function state(mixed $addresses): array
    {
        $addresses = self::addresses($addresses);
        $accounts = $addresses === [] ? [] : array_intersect_key($this->accounts(), array_flip($addresses));

        return $this->with(fn (string $session): array => [
            'me' => $this->api->me($session),
            'presence' => (object) ($addresses === [] ? [] : $this->presence($session, $addresses, $accounts)),
            'accounts' => (object) $accounts,
        ]);
    }

    /**
     * How people are, by the addresses that the page knows them by.
     *
     * @param string[]              $addresses
     * @param array<string, string> $accounts
     *
     * @return array<string, array{show: string, status: string}>
     */
    private function presence(string $session, array $addresses, array $accounts): array
    {
        $wanted = array_map(static fn (string $it): string => $accounts[$it] ?? $it, $addresses);
        $seen = $this->api->presence($session, array_values(array_unique($wanted)));
        $presence = [];
        foreach ($addresses as $index => $address) {
            if (isset($seen[$wanted[$index]])) {
                $presence[$address] = $seen[$wanted[$index]];
            }
        }

        return $presence;
    }

    /**
     * Who has another chat address, as the address book said lately.
     *
     * @return array<string, string>
     */
    private function accounts(): array
    {
        $kept = $this->memory['accounts'] ?? null;
        if (!is_array($kept) || (int) ($this->memory['accounts_until'] ?? 0) <= ($this->now)()) {
            $kept = ($this->cards)();
            $this->memory['accounts'] = $kept;
            $this->memory['accounts_until'] = ($this->now)() + self::CARDS_SECONDS;
        }

        return $kept;
    }

    /**
     * Shows the account as it wishes.
     *
     * @return array<string, mixed>
     */
    public function show(mixed $show, mixed $status): array
    {
        if (!in_array($show, Api::SHOWS, true)) {
            return ['up' => true, 'error' => 'bad-request'];
        }
        $status = is_string($status) ? mb_substr(trim($status), 0, self::STATUS_CHARACTERS_MAX) : '';

        return $this->with(function (string $session) use ($show, $status): array {
            $this->api->setPresence($session, $show, $status);

            return ['me' => $this->api->me($session)];
        });
    }

    /**
     * Whom to talk to when an address is clicked.
     *
     * @return array<string, mixed>
     */
    public function chat(mixed $with): array
    {
        $address = self::addresses([$with])[0] ?? null;
        if ($address === null) {
            return ['up' => true, 'error' => 'item-not-found'];
        }

        $address = $this->accounts()[$address] ?? $address;

        return $this->with(fn (string $session): array => ['jid' => $this->api->chat($session, $address)]);
    }

    /**
     * What the page hands to the frame with the chat in it.
     *
     * @return array<string, mixed>
     */
    public function token(): array
    {
        return $this->carefully(fn (): array => $this->api->token($this->login->user(), $this->login->password()));
    }

    /**
     * @param \Closure(string): array<string, mixed> $work
     *
     * @return array<string, mixed>
     */
    private function with(\Closure $work): array
    {
        return $this->carefully(function () use ($work): array {
            $kept = $this->kept();
            try {
                return $work($kept ?? $this->begin());
            } catch (ApiError $error) {
                // What was kept has ended before its time, as with another password: once more.
                if ($error->status !== 401 || $kept === null) {
                    throw $error;
                }

                return $work($this->begin());
            }
        });
    }

    /**
     * @param \Closure(): array<string, mixed> $work
     *
     * @return array<string, mixed>
     */
    private function carefully(\Closure $work): array
    {
        $quiet = (int) ($this->memory['quiet_until'] ?? 0) - ($this->now)();
        if ($quiet > 0) {
            return ['up' => false, 'again' => $quiet];
        }
        try {
            return ['up' => true] + $work();
        } catch (ApiError $error) {
            return match ($error->status) {
                400, 404, 409, 413, 415, 422 => ['up' => true, 'error' => $error->name],
                401, 403 => $this->quiet(self::REFUSED_SECONDS),
                default => $this->quiet(self::DOWN_SECONDS),
            };
        }
    }

    /**
     * @return array<string, mixed>
     */
    private function quiet(int $seconds): array
    {
        unset($this->memory['session']);
        $this->memory['quiet_until'] = ($this->now)() + $seconds;

        return ['up' => false, 'again' => $seconds];
    }

    private function kept(): ?string
    {
        $sealed = $this->memory['session'] ?? '';
        if (!is_string($sealed) || $sealed === '' || ($this->memory['session_until'] ?? 0) <= ($this->now)()) {
            return null;
        }
        $token = $this->login->open($sealed);

        return $token === '' ? null : $token;
    }

    private function begin(): string
    {
        ['token' => $token, 'seconds' => $seconds] = $this->api->session($this->login->user(), $this->login->password());
        $this->memory['session'] = $this->login->seal($token);
        $this->memory['session_until'] = ($this->now)() + $seconds - self::MARGIN_SECONDS;

        return $token;
    }

    /**
     * What looks like addresses, in small letters, each once.
     *
     * @return string[]
     */
    private static function addresses(mixed $given): array
    {
        $found = [];
        foreach (is_array($given) ? $given : [] as $one) {
            $one = is_string($one) ? mb_strtolower(trim($one)) : '';
            if (strlen($one) <= self::ADDRESS_BYTES_MAX && preg_match('/^[^\s@]+@[^\s@]+$/u', $one) === 1) {
                $found[$one] = true;
            }
        }

        return array_map('strval', array_slice(array_keys($found), 0, self::ADDRESSES_MAX));
    }
}
