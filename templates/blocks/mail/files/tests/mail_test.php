<?php

declare(strict_types=1);

require_once APP . '/lib/Mailer.php';

$subject = "Grüße\r\nBcc: eve@acme.test " . bin2hex(random_bytes(8));
$text = "First line.\n.\nThe dot alone did not end the mail. €\n";
(new Mailer())->send('shop@acme.test', 'ada@acme.test', $subject, $text);

$host = getenv('MAIL_HOST') ?: 'mail';
$caught = json_decode(file_get_contents("http://$host:8025/messages"), true)[0];
check('the mail reaches its receiver, and nobody else', 'ada@acme.test', $caught['to']);
check('the text arrives as it was written', $text, str_replace("\r\n", "\n", $caught['text']));
check('the subject arrives', true, str_starts_with($caught['subject'], 'Grüße'));

try {
    (new Mailer())->send('shop@acme.test', "ada@acme.test>\r\nRCPT TO:<eve@acme.test", '', '');
    check('a forged address is refused', true, false);
} catch (InvalidArgumentException) {
    check('a forged address is refused', true, true);
}
