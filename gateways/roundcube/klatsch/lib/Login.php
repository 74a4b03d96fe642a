<?php

declare(strict_types=1);

namespace Klatsch;

/**
 * Who is logged in to the webmail, and what the webmail keeps secrets with.
 */
interface Login
{
    public function user(): string;

    public function password(): string;

    /** Encrypts something that is kept in the webmail's session. */
    public function seal(string $secret): string;

    /** The other way round; empty when it cannot be read. */
    public function open(string $sealed): string;
}
