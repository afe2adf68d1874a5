<?php

declare(strict_types=1);

// Runs every *_test.php beside it and prints one TAP line per case. Exit status 1 when a case fails.

// The application: src/ in the repository, the document root in a container.
define('APP', is_dir(__DIR__ . '/../src') ? __DIR__ . '/../src' : __DIR__ . '/../html');

$cases = 0;
$failed = 0;

/** One case: what came out must be identical to what was expected. */
function check(string $name, mixed $expected, mixed $actual): void
{
    global $cases, $failed;
    $cases++;
    if ($actual === $expected) {
        echo "ok $cases - $name\n";
        return;
    }
    $failed++;
    echo "not ok $cases - $name: expected ", var_export($expected, true), ', got ', var_export($actual, true), "\n";
}

foreach (glob(__DIR__ . '/*_test.php') as $file) {
    try {
        require $file;
    } catch (Throwable $error) {
        check(basename($file) . ' runs to its end', '', $error->getMessage());
    }
}

echo "1..$cases\n";
exit($failed === 0 ? 0 : 1);
