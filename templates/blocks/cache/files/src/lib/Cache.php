<?php

declare(strict_types=1);

/**
 * Values kept in Redis for a while, at CACHE_HOST ("cache" unless set).
 *
 *     $cache = new Cache();
 *     $products = $cache->remember('products', 60, fn () => products($database));
 *
 * A cache makes things faster and nothing else: without it every value is computed, and the page still works.
 */
final class Cache
{
    private ?Redis $redis = null;

    public function __construct(?string $host = null, ?int $port = null)
    {
        $host ??= getenv('CACHE_HOST') ?: 'cache';
        $port ??= (int) (getenv('CACHE_PORT') ?: 6379);
        $redis = new Redis();
        try {
            // @: for an unknown host it warns as well as throws.
            @$redis->connect($host, $port, 0.5);
            $redis->setOption(Redis::OPT_READ_TIMEOUT, 0.5);
            $this->redis = $redis;
        } catch (RedisException $error) {
            $this->lost($error);
        }
    }

    /** What is kept under the key; if nothing is, what `$compute` returns, kept for so many seconds. */
    public function remember(string $key, int $seconds, callable $compute): mixed
    {
        $kept = $this->ask(fn (Redis $redis) => $redis->get($key));
        if (is_string($kept)) {
            return json_decode($kept, true, flags: JSON_THROW_ON_ERROR);
        }
        $value = $compute();
        $this->ask(fn (Redis $redis) => $redis->setex($key, $seconds, json_encode($value, JSON_THROW_ON_ERROR)));

        return $value;
    }

    public function forget(string $key): void
    {
        $this->ask(fn (Redis $redis) => $redis->del($key));
    }

    private function ask(callable $question): mixed
    {
        try {
            return $this->redis === null ? null : $question($this->redis);
        } catch (RedisException $error) {
            $this->lost($error);

            return null;
        }
    }

    /** Said once: the rest of the request does without. */
    private function lost(RedisException $error): void
    {
        error_log('cache: ' . $error->getMessage());
        $this->redis = null;
    }
}
