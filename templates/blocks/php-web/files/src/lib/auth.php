<?php

declare(strict_types=1);

/**
 * The name of who is signed in, as the auth app says. Null when nobody is, when no auth app is set, and when it does
 * not answer in a second: the page must not depend on it.
 */
function signed_in_user(): ?string
{
    $url = getenv('AUTH_URL');
    if ($url === false || $url === '') {
        return null;
    }
    $answer = @file_get_contents("$url/whoami", false, stream_context_create(['http' => ['timeout' => 1]]));

    return $answer === false ? null : user_of($answer);
}

/** The user in an answer of GET /whoami: {"user": "ada"}. */
function user_of(string $answer): ?string
{
    $user = json_decode($answer, true)['user'] ?? null;

    return is_string($user) && $user !== '' ? $user : null;
}
