<?php

declare(strict_types=1);

namespace Klatsch\Tests;

use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Psr7\Request;
use Klatsch\ApiError;
use PHPUnit\Framework\TestCase;

final class ApiTest extends TestCase
{
    public function testTokenIsAskedForWithThePasswordAndForOneLogin(): void
    {
        $server = (new Server())->answers(['token' => 'once', 'jid' => 'john.doe@example.org', 'expires_in' => 60, 'websocket' => '/ws']);
        $answer = $server->api()->token('john.doe@example.org', 'pass:wörd');
        self::assertSame(['token' => 'once', 'jid' => 'john.doe@example.org'], $answer);
        self::assertSame(['POST /api/v1/token'], $server->lines());
        self::assertSame('Basic ' . base64_encode('john.doe@example.org:pass:wörd'), $server->authorization(0));
        self::assertSame(['audience' => 'xmpp'], $server->body(0));
        self::assertSame('application/json', $server->asked[0]['request']->getHeaderLine('Content-Type'));
    }

    public function testNoRequestWaitsLongNorFollowsElsewhere(): void
    {
        $server = (new Server())->answers(['location' => 'x'], 302);
        try {
            $server->api()->me('session');
            self::fail('a redirection is no answer');
        } catch (ApiError $error) {
            self::assertSame(302, $error->status);
        }
        $options = $server->asked[0]['options'];
        self::assertLessThanOrEqual(2, $options['timeout']);
        self::assertLessThanOrEqual(2, $options['connect_timeout']);
        self::assertFalse($options['allow_redirects']);
    }

    public function testPresenceIsTakenAsFarAsItIsWellSaid(): void
    {
        $server = (new Server())->answers(['presence' => [
            'jane@example.org' => ['show' => 'away', 'status' => 'Lunch'],
            'odd@example.org' => ['show' => 3, 'status' => ['x']],
            'none@example.org' => null,
        ]]);
        $presence = $server->api()->presence('session', ['jane@example.org', 'odd@example.org', 'none@example.org']);
        self::assertSame(['show' => 'away', 'status' => 'Lunch'], $presence['jane@example.org']);
        self::assertSame(['show' => 'unknown', 'status' => ''], $presence['odd@example.org']);
        self::assertSame(['show' => 'unknown', 'status' => ''], $presence['none@example.org']);
        self::assertSame('Bearer session', $server->authorization(0));
    }

    public function testWishThatIsMissingIsNone(): void
    {
        $server = (new Server())->answers(['jid' => 'john@example.org', 'show' => 'away', 'wish' => 'pink', 'unread' => -1]);
        $me = ['jid' => 'john@example.org', 'show' => 'away', 'status' => '', 'wish' => 'auto', 'unread' => 0];
        self::assertSame($me, $server->api()->me('session'));
    }

    public function testEmptyBodyIsAnObject(): void
    {
        $server = (new Server())->opensSession();
        $server->api()->session('john', 'x');
        self::assertSame('{}', (string) $server->asked[0]['request']->getBody());
    }

    /**
     * @dataProvider refusals
     *
     * @param array<string, mixed>|\Throwable $answer
     */
    public function testEveryFailureHasAName(array|\Throwable $answer, int $status, int $told, string $name): void
    {
        $server = (new Server())->answers($answer, $status);
        try {
            $server->api()->token('john', Server::PASSWORD);
            self::fail('no failure');
        } catch (ApiError $error) {
            self::assertSame([$told, $name], [$error->status, $error->name]);
            // The password is in the request; what fails must not carry it to a log.
            self::assertNull($error->getPrevious());
            self::assertStringNotContainsString(base64_encode('john:' . Server::PASSWORD), $error->getMessage());
        }
    }

    /**
     * @return array<string, array{array<string, mixed>|\Throwable, int, int, string}>
     */
    public static function refusals(): array
    {
        return [
            'wrong password' => [['error' => 'not-authorized', 'message' => 'No.'], 401, 401, 'not-authorized'],
            'locked' => [['error' => 'account-disabled'], 403, 403, 'account-disabled'],
            'no JSON of an error' => [['x' => 1], 502, 502, 'unexpected'],
            'no token in the answer' => [['jid' => 'john@example.org'], 200, 0, 'unexpected'],
            'no text for a token' => [['jid' => 'john@example.org', 'token' => []], 200, 0, 'unexpected'],
            'nobody there' => [new ConnectException('refused', new Request('POST', '/')), 200, 0, 'unreachable'],
        ];
    }
}
