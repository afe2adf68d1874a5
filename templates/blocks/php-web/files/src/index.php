<?php

declare(strict_types=1);

require __DIR__ . '/lib/auth.php';
require __DIR__ . '/lib/database.php';
require __DIR__ . '/lib/format.php';

$title = 'Our products';
$user = signed_in_user();
$database = connect();
?>
<!doctype html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title><?= h($title) ?></title>
    <link rel="stylesheet" href="style.css">
</head>
<body>
    <header>
        <h1><?= h($title) ?></h1>
        <p><?= $user === null ? 'Nobody is signed in.' : 'Signed in as <strong>' . h($user) . '</strong>.' ?></p>
    </header>
    <main>
<?php if ($database === null) : ?>
        <p>It works. Edit <code>src/index.php</code> and reload.</p>
<?php else : ?>
        <table>
            <thead><tr><th>Product</th><th>Price</th><th>In stock</th></tr></thead>
            <tbody>
<?php foreach (products($database) as $product) : ?>
                <tr>
                    <td><?= h($product['name']) ?></td>
                    <td><?= format_price($product['price_cents']) ?></td>
                    <td><?= $product['stock'] ?></td>
                </tr>
<?php endforeach ?>
            </tbody>
        </table>
<?php endif ?>
    </main>
</body>
</html>
