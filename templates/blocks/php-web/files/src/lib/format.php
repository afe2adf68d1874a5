<?php

declare(strict_types=1);

/** An amount of cents as people read it: 123456 is "1,234.56 €". */
function format_price(int $cents): string
{
    return number_format($cents / 100, 2) . ' €';
}

/** Text made safe for HTML. */
function h(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE);
}
