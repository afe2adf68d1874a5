<?php

declare(strict_types=1);

// Asked at /health by whoever waits for this service: 200 means it can do its work, database included.

require __DIR__ . '/lib/database.php';

header('Content-Type: text/plain');
header('Cache-Control: no-store');

try {
    connect()?->query('SELECT 1');
    echo "ok\n";
} catch (PDOException $error) {
    error_log('health: ' . $error->getMessage());
    http_response_code(503);
    echo "the database does not answer\n";
}
