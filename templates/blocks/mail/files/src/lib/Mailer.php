<?php

declare(strict_types=1);

/**
 * Sends plain-text mail over SMTP (RFC 5321) to MAIL_HOST ("mail" unless set), port MAIL_PORT (1025 unless set).
 *
 *     (new Mailer())->send('shop@acme.test', 'ada@acme.test', 'Your order', "It is on its way.\n");
 *
 * In a sandbox that is the mail catcher: what it caught is at http://mail:8025/.
 */
final class Mailer
{
    /** @var resource */
    private $connection;

    public function __construct(private ?string $host = null, private ?int $port = null)
    {
        $this->host ??= getenv('MAIL_HOST') ?: 'mail';
        $this->port ??= (int) (getenv('MAIL_PORT') ?: 1025);
    }

    /**
     * @throws InvalidArgumentException for an address that is none
     * @throws RuntimeException when the server cannot be reached or refuses
     */
    public function send(string $from, string $to, string $subject, string $text): void
    {
        foreach ([$from, $to] as $address) {
            // Also what keeps a line break, and with it a forged command or header, out.
            if (filter_var($address, FILTER_VALIDATE_EMAIL) === false) {
                throw new InvalidArgumentException("not a mail address: $address");
            }
        }
        $this->connection = @stream_socket_client("tcp://$this->host:$this->port", $code, $error, 5)
            ?: throw new RuntimeException("mail: $this->host:$this->port: $error");
        stream_set_timeout($this->connection, 5);
        try {
            $this->expect('220');
            $this->command('EHLO ' . (gethostname() ?: 'localhost'), '250');
            $this->command("MAIL FROM:<$from>", '250');
            $this->command("RCPT TO:<$to>", '250');
            $this->command('DATA', '354');
            $this->command(self::message($from, $to, $subject, $text) . "\r\n.", '250');
            $this->command('QUIT', '221');
        } finally {
            fclose($this->connection);
        }
    }

    /** Headers and body (RFC 5322). Base64 carries any text, and its lines never start with the dot that ends DATA. */
    private static function message(string $from, string $to, string $subject, string $text): string
    {
        return implode("\r\n", [
            "From: $from",
            "To: $to",
            'Subject: ' . mb_encode_mimeheader($subject, 'UTF-8', 'B'),
            'Date: ' . date(DATE_RFC2822),
            'Message-ID: <' . bin2hex(random_bytes(16)) . strrchr($from, '@') . '>',
            'MIME-Version: 1.0',
            'Content-Type: text/plain; charset=utf-8',
            'Content-Transfer-Encoding: base64',
            '',
            rtrim(chunk_split(base64_encode($text))),
        ]);
    }

    private function command(string $line, string $expected): void
    {
        fwrite($this->connection, "$line\r\n");
        $this->expect($expected);
    }

    /** Reads one answer; its last line has a space after the code, the others a dash. */
    private function expect(string $code): void
    {
        do {
            $line = fgets($this->connection);
            if ($line === false) {
                throw new RuntimeException('mail: the server hung up or was silent for too long');
            }
        } while (($line[3] ?? '') === '-');
        if (!str_starts_with($line, $code)) {
            throw new RuntimeException('mail: the server refused: ' . trim($line));
        }
    }
}
