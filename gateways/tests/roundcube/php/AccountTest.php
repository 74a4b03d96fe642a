<?php

declare(strict_types=1);

namespace Klatsch\Tests;

use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Psr7\Request;
use PHPUnit\Framework\TestCase;

final class AccountTest extends TestCase
{
    private const ME = ['jid' => 'john.doe@example.org', 'show' => 'online', 'status' => '', 'wish' => 'auto', 'unread' => 2];

    private Server $server;

    protected function setUp(): void
    {
        $this->server = new Server();
    }

    public function testPasswordOpensOneSessionAndIsNotAskedForAgain(): void
    {
        $seen = ['presence' => ['jane.poe@example.org' => ['show' => 'away', 'status' => '']]];
        $this->server->opensSession()->answers(self::ME)->answers($seen)->answers(self::ME);
        $answer = $this->server->account()->state(['Jane.Poe@example.org']);
        self::assertTrue($answer['up']);
        self::assertSame(2, $answer['me']['unread']);
        self::assertSame('away', ((array) $answer['presence'])['jane.poe@example.org']['show']);
        // The next page: nobody to ask for, and the session is there.
        self::assertTrue($this->server->account()->state(null)['up']);
        self::assertSame(['POST /api/v1/session', 'GET /api/v1/me', 'POST /api/v1/presence', 'GET /api/v1/me'], $this->server->lines());
        self::assertSame('Bearer session-1', $this->server->authorization(3));
    }

    public function testNothingThatIsRememberedOrAnsweredShowsASecret(): void
    {
        $this->server->opensSession()->answers(self::ME)->answers(['token' => 'once', 'jid' => 'john.doe@example.org']);
        $told = [$this->server->account()->state(null), $this->server->account()->token(), $this->server->memory];
        $text = (string) json_encode($told);
        self::assertStringNotContainsString(Server::PASSWORD, $text);
        self::assertStringNotContainsString('session-1', $text);
    }

    public function testSessionThatHasEndedIsOpenedAgainOnce(): void
    {
        $this->server->opensSession()->answers(self::ME);
        $this->server->account()->state(null);
        $this->server->answers(['error' => 'not-authorized'], 401)->opensSession('session-2')->answers(self::ME);
        self::assertTrue($this->server->account()->state(null)['up']);
        self::assertSame('Bearer session-2', $this->server->authorization(4));
    }

    public function testSessionIsOpenedAnewBeforeItEnds(): void
    {
        $this->server->opensSession()->answers(self::ME)->opensSession('session-2')->answers(self::ME);
        $this->server->account()->state(null);
        $this->server->now += 3_590;
        $this->server->account()->state(null);
        self::assertSame('Bearer session-2', $this->server->authorization(3));
    }

    public function testKlatschThatIsDownIsLeftInPeaceForAWhile(): void
    {
        $this->server->answers(new ConnectException('refused', new Request('POST', '/')));
        self::assertSame(['up' => false, 'again' => 20], $this->server->account()->state(null));
        $this->server->now += 15;
        self::assertSame(['up' => false, 'again' => 5], $this->server->account()->token());
        self::assertCount(1, $this->server->asked);
        $this->server->now += 5;
        $this->server->opensSession()->answers(self::ME);
        self::assertTrue($this->server->account()->state(null)['up']);
    }

    public function testAccountWithoutChatIsAskedForSeldom(): void
    {
        $this->server->answers(['error' => 'not-authorized'], 401);
        self::assertSame(['up' => false, 'again' => 300], $this->server->account()->state(null));
        self::assertCount(1, $this->server->asked);
    }

    public function testOnlyWhatLooksLikeAnAddressIsAskedForAndEachOnce(): void
    {
        $this->server->opensSession()->answers(self::ME)->answers(['presence' => []]);
        $odd = ['a@b', ' A@B ', 'a b@c', '@', 'x', ['y@z'], 7, null, "a@b\nc@d", str_repeat('x', 400) . '@y'];
        $this->server->account()->state($odd);
        self::assertSame(['addresses' => ['a@b']], $this->server->body(2));
    }

    public function testAskingForMoreThanKlatschTakesIsCutShort(): void
    {
        $this->server->opensSession()->answers(self::ME)->answers(['presence' => []]);
        $this->server->account()->state(array_map(static fn (int $n): string => "n$n@example.org", range(1, 500)));
        self::assertCount(200, $this->server->body(2)['addresses']);
    }

    public function testWishIsSentAndWhatBecameOfItAnswered(): void
    {
        $this->server->opensSession()->answers([])->answers(['show' => 'away'] + self::ME);
        $answer = $this->server->account()->show('away', str_repeat('é', 300));
        self::assertSame('away', $answer['me']['show']);
        self::assertSame('PUT /api/v1/me/presence', $this->server->lines()[1]);
        self::assertSame(['show' => 'away', 'status' => str_repeat('é', 200)], $this->server->body(1));
    }

    public function testWishThatIsNoneAsksNobody(): void
    {
        foreach (['offline', 'pink', null, ['away']] as $show) {
            self::assertSame('bad-request', $this->server->account()->show($show, '')['error']);
        }
        self::assertSame([], $this->server->asked);
    }

    public function testNobodyIsNoFailure(): void
    {
        $this->server->opensSession()->answers(['error' => 'item-not-found'], 404)->answers(['jid' => 'jane.poe@example.org']);
        self::assertSame(['up' => true, 'error' => 'item-not-found'], $this->server->account()->chat('x@example.org'));
        self::assertSame(['up' => true, 'jid' => 'jane.poe@example.org'], $this->server->account()->chat('poe@example.org'));
        self::assertSame(['up' => true, 'error' => 'item-not-found'], $this->server->account()->chat('nobody'));
        self::assertCount(3, $this->server->asked);
    }

    public function testWhoeverChatsElsewhereIsAskedForThereAndShownHere(): void
    {
        $this->server->cards = ['jane@private.example' => 'jane.poe@example.org'];
        $seen = ['presence' => ['jane.poe@example.org' => ['show' => 'dnd'], 'max@example.org' => ['show' => 'away']]];
        $this->server->opensSession()->answers(self::ME)->answers($seen);
        $answer = $this->server->account()->state(['Jane@private.example', 'jane.poe@example.org', 'max@example.org']);
        self::assertSame(['addresses' => ['jane.poe@example.org', 'max@example.org']], $this->server->body(2));
        $shows = array_map(static fn (array $it): string => $it['show'], (array) $answer['presence']);
        self::assertSame(['jane@private.example' => 'dnd', 'jane.poe@example.org' => 'dnd', 'max@example.org' => 'away'], $shows);
        self::assertSame(['jane@private.example' => 'jane.poe@example.org'], (array) $answer['accounts']);
        $this->server->answers(['jid' => 'jane.poe@example.org']);
        self::assertSame('jane.poe@example.org', $this->server->account()->chat('jane@private.example')['jid']);
        self::assertSame(['with' => 'jane.poe@example.org'], $this->server->body(3));
    }

    public function testCardsAreLookedThroughSeldom(): void
    {
        $this->server->opensSession();
        foreach ([0, 300, 599, 601] as $second) {
            $this->server->now = 1_000_000 + $second;
            $this->server->answers(self::ME)->answers(['presence' => []]);
            $this->server->account()->state(['jane@private.example']);
        }
        self::assertSame(2, $this->server->cardsRead);
        // Nobody to look for.
        $this->server->now += 10_000;
        $this->server->opensSession('session-2')->answers(self::ME);
        $this->server->account()->state(null);
        self::assertSame(2, $this->server->cardsRead);
    }
}
