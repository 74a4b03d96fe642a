<?php

declare(strict_types=1);

namespace Klatsch;

/**
 * klatsch did not do what it was asked: it said no, or nothing that can be understood.
 */
final class ApiError extends \RuntimeException
{
    /**
     * @param int    $status The HTTP status; 0 when there was no answer
     * @param string $name   The error's name in the API, as `not-authorized`
     */
    public function __construct(public readonly int $status, public readonly string $name)
    {
        parent::__construct("klatsch: $name ($status)");
    }
}
