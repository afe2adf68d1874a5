<?php

declare(strict_types=1);

require_once APP . '/lib/auth.php';

check('the auth app names the user', 'ada', user_of('{"user": "ada"}'));
check('nobody is signed in', null, user_of('{"user": null}'));
check('an answer that is not JSON is nobody', null, user_of('<html>'));
