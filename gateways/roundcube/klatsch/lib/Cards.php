<?php

declare(strict_types=1);

namespace Klatsch;

/**
 * What somebody's own address book says of chat addresses: whoever has one in their card (IMPP, RFC
 * 6350 §6.4.3, or X-JABBER of older ones) is talked to there, whatever their mail address is.
 */
final class Cards
{
    private const BYTES_MAX = 64 * 1024;

    /**
     * The chat address in a card, in small letters; empty where there is none.
     */
    public static function chat(string $card): string
    {
        $found = '';
        // RFC 6350 §3.2: a line goes on where the next begins with a blank.
        $lines = preg_split('/\r?\n/', (string) preg_replace('/\r?\n[ \t]/', '', substr($card, 0, self::BYTES_MAX)));
        foreach ($lines ?: [] as $line) {
            if (preg_match('/^(?:[\w-]+\.)?(IMPP|X-JABBER)(?:;[^:]*)?:(.*)$/i', $line, $matches) !== 1) {
                continue;
            }
            $address = self::address(stripslashes(trim($matches[2])), strtoupper($matches[1]) === 'IMPP');
            // Of both the newer property counts.
            if ($address !== '' && ($found === '' || strtoupper($matches[1]) === 'IMPP')) {
                $found = $address;
            }
        }

        return $found;
    }

    private static function address(string $value, bool $isUri): string
    {
        if (preg_match('/^xmpp:(?:\/\/[^\/]*\/)?([^?#;]+)/i', $value, $matches) === 1) {
            $value = rawurldecode($matches[1]);
        } elseif ($isUri) {
            return '';
        }
        $bare = mb_strtolower(explode('/', $value)[0]);

        return preg_match('/^[^\s@<>"]{1,1023}@[^\s@<>"]{1,1023}$/u', $bare) === 1 ? $bare : '';
    }

    /**
     * Who has another chat address than their mail addresses.
     *
     * @param iterable<array{0: string[], 1: string}> $people Mail addresses and the card of each
     *
     * @return array<string, string> Mail address, in small letters → chat address
     */
    public static function map(iterable $people): array
    {
        $map = [];
        foreach ($people as [$mails, $card]) {
            $chat = self::chat($card);
            foreach ($chat === '' ? [] : $mails as $mail) {
                $mail = mb_strtolower(trim($mail));
                if ($mail !== '' && $mail !== $chat) {
                    $map[$mail] = $chat;
                }
            }
        }

        return $map;
    }
}
