<?php

declare(strict_types=1);

/**
 * The database that the environment names, or null when it names none.
 *
 * @throws PDOException when it cannot be reached
 */
function connect(): ?PDO
{
    $host = getenv('DB_HOST');
    if ($host === false || $host === '') {
        return null;
    }
    $dsn = sprintf('mysql:host=%s;port=%d;dbname=%s;charset=utf8mb4', $host, getenv('DB_PORT') ?: 3306, getenv('DB_NAME'));

    return new PDO($dsn, getenv('DB_USER') ?: null, getenv('DB_PASSWORD') ?: null, [
        PDO::ATTR_TIMEOUT => 2,
        PDO::ATTR_EMULATE_PREPARES => false,
        PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
    ]);
}

/** @return list<array{name: string, price_cents: int, stock: int}> */
function products(PDO $database): array
{
    return $database->query('SELECT name, price_cents, stock FROM products ORDER BY name')->fetchAll();
}
