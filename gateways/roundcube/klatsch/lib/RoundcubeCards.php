<?php

declare(strict_types=1);

namespace Klatsch;

/**
 * The cards of the address books that are somebody's own. Those of a directory are not looked through:
 * they may have a whole company in them, and there the mail address is the chat's.
 */
final class RoundcubeCards
{
    /** More than that nobody writes by hand. */
    private const CARDS_MAX = 1_000;

    public function __construct(private \rcmail $rcmail)
    {
    }

    /**
     * @return array<string, string>
     */
    public function map(): array
    {
        return Cards::map($this->people());
    }

    /**
     * @return \Generator<array{0: string[], 1: string}>
     */
    private function people(): \Generator
    {
        foreach ($this->rcmail->get_address_sources(true) as $source) {
            $book = $this->rcmail->get_address_book($source['id']);
            if (!$book instanceof \rcube_addressbook) {
                continue;
            }
            $book->set_page(1);
            $book->set_pagesize(self::CARDS_MAX);
            $found = $book->list_records();
            foreach ($found ? $found->records : [] as $record) {
                yield [\rcube_addressbook::get_col_values('email', $record, true), self::card($record)];
            }
        }
    }

    /**
     * Books without whole cards have the field by its name.
     *
     * @param array<string, mixed> $record
     */
    private static function card(array $record): string
    {
        $fields = \rcube_addressbook::get_col_values('im:jabber', $record, true);
        $lines = array_map(static fn (string $value): string => 'X-JABBER:' . preg_replace('/\s+/', '', $value), $fields);

        return implode("\n", [...$lines, (string) ($record['vcard'] ?? '')]);
    }
}
