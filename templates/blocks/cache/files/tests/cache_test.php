<?php

declare(strict_types=1);

require_once APP . '/lib/Cache.php';

$key = 'test-' . bin2hex(random_bytes(8));
$calls = 0;
$compute = function () use (&$calls): array {
    $calls++;
    return ['rows' => 3];
};

$cache = new Cache();
$cache->remember($key, 60, $compute);
check('the cache gives back what it was given', ['rows' => 3], $cache->remember($key, 60, $compute));
check('a kept value is computed once', 1, $calls);
$cache->forget($key);
$cache->remember($key, 1, $compute);
check('a forgotten value is computed again', 2, $calls);
$cache->forget($key);

// Port 1: nothing answers there, which is logged. Here it is expected.
ini_set('error_log', '/dev/null');
check('without a cache the value is computed', ['rows' => 3], (new Cache('127.0.0.1', 1))->remember($key, 60, $compute));
ini_restore('error_log');
