<?php

declare(strict_types=1);

// The practice company's second app. It stands for the services that other teams run and ours depends on, so it always
// says the same: in a practice company, Ada is signed in.

const VERSION = '1.0.0';

header('Cache-Control: no-store');

switch (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    case '/whoami':
        header('Content-Type: application/json');
        echo json_encode(['user' => 'ada', 'service' => 'auth', 'version' => VERSION]);
        break;
    case '/health':
        header('Content-Type: text/plain');
        echo "ok\n";
        break;
    default:
        http_response_code(404);
        header('Content-Type: application/json');
        echo json_encode(['error' => 'not found']);
}
