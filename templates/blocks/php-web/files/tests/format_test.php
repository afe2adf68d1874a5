<?php

declare(strict_types=1);

require_once APP . '/lib/format.php';

check('a price has two decimals', '1.80 €', format_price(180));
check('a price has thousands separated', '1,234.56 €', format_price(123456));
check('a price of nothing', '0.00 €', format_price(0));
check('text cannot become markup', '&lt;b&gt; &amp; &quot;', h('<b> & "'));
