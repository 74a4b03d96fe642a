<?php

declare(strict_types=1);

namespace Klatsch;

/**
 * Roundcube's login. Under single sign-on its password is a token that serves as one.
 */
final class RoundcubeLogin implements Login
{
    public function __construct(private \rcmail $rcmail)
    {
    }

    public function user(): string
    {
        return (string) $this->rcmail->get_user_name();
    }

    public function password(): string
    {
        return (string) $this->rcmail->get_user_password();
    }

    public function seal(string $secret): string
    {
        return (string) $this->rcmail->encrypt($secret);
    }

    public function open(string $sealed): string
    {
        return (string) $this->rcmail->decrypt($sealed);
    }
}
