<?php

declare(strict_types=1);

// Asks the running application, as a visitor would. Exit status 1 when an answer is not as it should be.

/** @return array{int, string} status and body */
function get(string $path): array
{
    $context = stream_context_create(['http' => ['timeout' => 5, 'ignore_errors' => true]]);
    $body = @file_get_contents("http://127.0.0.1$path", false, $context);
    preg_match('~^HTTP/\S+ (\d+)~', $http_response_header[0] ?? '', $status);

    return [(int) ($status[1] ?? 0), (string) $body];
}

[$health] = get('/health');
[$page, $body] = get('/');
[$hidden] = get('/lib/format.php');

$cases = [
    '/health answers 200' => $health === 200,
    'the page answers 200' => $page === 200,
    'library code is not served' => $hidden === 404,
];
if (getenv('DB_HOST')) {
    $cases['the page lists a product of the database'] = str_contains($body, 'Fountain pen');
}
if (getenv('AUTH_URL')) {
    $cases['the page says who is signed in'] = str_contains($body, 'Signed in as');
}

$number = 0;
foreach ($cases as $name => $passed) {
    printf("%s %d - %s\n", $passed ? 'ok' : 'not ok', ++$number, $name);
}
echo "1..$number\n";
exit(in_array(false, $cases, true) ? 1 : 0);
