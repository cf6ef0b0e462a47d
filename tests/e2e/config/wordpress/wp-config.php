<?php
// A WordPress that lives for one test run on loopback. E2E_DB_PORT and E2E_SITE_URL come from the environment.
define('DB_NAME', 'site');
define('DB_USER', 'site');
define('DB_PASSWORD', 'site');
define('DB_HOST', '127.0.0.1:' . getenv('E2E_DB_PORT'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');

foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $use) {
    define("{$use}_KEY", "key of $use for tests only");
    define("{$use}_SALT", "salt of $use for tests only");
}

define('WP_SITEURL', getenv('E2E_SITE_URL'));
define('WP_HOME', getenv('E2E_SITE_URL'));
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
// Application passwords are refused over plain http except on a local site.
define('WP_ENVIRONMENT_TYPE', 'local');

$table_prefix = 'wp_';
defined('ABSPATH') || define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
