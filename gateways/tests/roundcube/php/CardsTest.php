<?php

declare(strict_types=1);

namespace Klatsch\Tests;

use Klatsch\Cards;
use PHPUnit\Framework\TestCase;

final class CardsTest extends TestCase
{
    /**
     * @dataProvider cards
     */
    public function testChatAddressOfACard(string $lines, string $expected): void
    {
        self::assertSame($expected, Cards::chat("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Jane\r\n$lines\r\nEND:VCARD"), $lines);
    }

    /**
     * @return array<string, array{0: string, 1: string}>
     */
    public static function cards(): array
    {
        return [
            'IMPP' => ['IMPP:xmpp:jane@example.org', 'jane@example.org'],
            'IMPP with parameters' => ['IMPP;PREF=1;TYPE=work:xmpp:Jane@Example.org', 'jane@example.org'],
            'IMPP in a group' => ['item1.IMPP;X-SERVICE-TYPE=Jabber:xmpp:jane@example.org', 'jane@example.org'],
            'IMPP as a URI with more' => ['IMPP:xmpp:jane@example.org/phone?message', 'jane@example.org'],
            'IMPP escaped' => ['IMPP:xmpp:o%27brien@example.org', "o'brien@example.org"],
            'X-JABBER' => ['X-JABBER:jane@example.org', 'jane@example.org'],
            'X-JABBER with parameters' => ['X-JABBER;TYPE=HOME:jane@example.org/home', 'jane@example.org'],
            'a line that goes on' => ["IMPP:xmpp:jane@exam\r\n ple.org", 'jane@example.org'],
            'both' => ["X-JABBER:old@example.org\r\nIMPP:xmpp:new@example.org", 'new@example.org'],
            'both the other way' => ["IMPP:xmpp:new@example.org\r\nX-JABBER:old@example.org", 'new@example.org'],
            'another service' => ['IMPP:sip:jane@example.org', ''],
            'another service by its name' => ['X-SKYPE:jane@example.org', ''],
            'no address' => ["IMPP:xmpp:jane\r\nX-JABBER:", ''],
            'what is no address' => ['X-JABBER:<script>@x', ''],
            'in a note' => ['NOTE:IMPP:xmpp:jane@example.org', ''],
            'nothing' => ['EMAIL:jane@example.org', ''],
        ];
    }

    public function testMapHasWhoChatsElsewhereThanTheyGetMail(): void
    {
        $map = Cards::map([
            [['Jane@private.example', ' jane@work.example '], 'IMPP:xmpp:jane@example.org'],
            [['max@example.org'], 'X-JABBER:max@example.org'],
            [['carla@example.org'], 'FN:Carla'],
            [[], 'X-JABBER:nobody@example.org'],
        ]);
        self::assertSame(['jane@private.example' => 'jane@example.org', 'jane@work.example' => 'jane@example.org'], $map);
    }
}
