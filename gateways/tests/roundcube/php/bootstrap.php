<?php

// What the plugin's classes need, as Debian packages it.

declare(strict_types=1);

require_once 'GuzzleHttp/autoload.php';

foreach (['ApiError', 'Api', 'Login', 'Account', 'Cards'] as $class) {
    require_once __DIR__ . "/../../../roundcube/klatsch/lib/$class.php";
}
require_once __DIR__ . '/Server.php';
