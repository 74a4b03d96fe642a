<?php

declare(strict_types=1);

namespace Klatsch\Tests;

use GuzzleHttp\Client;
use GuzzleHttp\Handler\MockHandler;
use GuzzleHttp\HandlerStack;
use GuzzleHttp\Middleware;
use GuzzleHttp\Psr7\Response;
use Klatsch\Account;
use Klatsch\Api;
use Klatsch\Login;
use Psr\Http\Message\RequestInterface;

/**
 * A klatsch that gives the answers it is told to, one after the other, and somebody who is logged in
 * to a webmail beside it. A request too many fails the test.
 */
final class Server implements Login
{
    public const PASSWORD = 'doe-secret';

    /** @var array<int, array{request: RequestInterface, options: array<string, mixed>}> */
    public array $asked = [];

    /** @var array<string, mixed> */
    public array $memory = [];

    public int $now = 1_000_000;

    /** @var array<string, string> Who has another chat address than their mail address */
    public array $cards = [];

    /** How often the cards were looked through. */
    public int $cardsRead = 0;
    private MockHandler $answers;

    public function __construct()
    {
        $this->answers = new MockHandler();
    }

    /**
     * @param array<string, mixed>|\Throwable $answer
     */
    public function answers(array|\Throwable $answer, int $status = 200): self
    {
        $this->answers->append(is_array($answer) ? new Response($status, [], (string) json_encode($answer)) : $answer);

        return $this;
    }

    /** As somebody's first request is answered. */
    public function opensSession(string $token = 'session-1'): self
    {
        return $this->answers(['token' => $token, 'jid' => 'john.doe@example.org', 'expires_in' => 3600]);
    }

    public function api(): Api
    {
        $stack = HandlerStack::create($this->answers);
        $stack->push(Middleware::history($this->asked));

        return new Api(new Client(['handler' => $stack]), 'http://127.0.0.1:5280/');
    }

    /** What one request of a page meets; the memory is that of the webmail's session. */
    public function account(): Account
    {
        $cards = function (): array {
            $this->cardsRead += 1;

            return $this->cards;
        };

        return new Account($this->api(), $this, $this->memory, fn (): int => $this->now, $cards);
    }

    public function user(): string
    {
        return 'john.doe@example.org';
    }

    public function password(): string
    {
        return self::PASSWORD;
    }

    public function seal(string $secret): string
    {
        return strrev($secret);
    }

    public function open(string $sealed): string
    {
        return strrev($sealed);
    }

    /**
     * What was asked, as `POST /api/v1/token`.
     *
     * @return string[]
     */
    public function lines(): array
    {
        return array_map(
            static fn (array $one): string => $one['request']->getMethod() . ' ' . $one['request']->getUri()->getPath(),
            $this->asked
        );
    }

    public function authorization(int $at): string
    {
        return $this->asked[$at]['request']->getHeaderLine('Authorization');
    }

    /**
     * @return array<string, mixed>
     */
    public function body(int $at): array
    {
        return (array) json_decode((string) $this->asked[$at]['request']->getBody(), true);
    }
}
