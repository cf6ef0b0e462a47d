<?php
// Run once on the command line in the site's directory: installs the site with pretty permalinks, which the REST API's
// paths need, and prints an application password of its administrator as "application-password=...".
$_SERVER['HTTP_HOST'] = (string) parse_url((string) getenv('E2E_SITE_URL'), PHP_URL_HOST);
define('WP_INSTALLING', true);
require getcwd() . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

wp_install('Anyhook end to end', 'admin', 'admin@example.test', true, '', wp_generate_password(24));
update_option('permalink_structure', '/%postname%/');
// Comments of one author within seconds of each other are what a test makes.
add_filter('comment_flood_filter', '__return_false');

$admin = get_user_by('login', 'admin');
[$password] = WP_Application_Passwords::create_new_application_password($admin->ID, ['name' => 'anyhook']);
echo "application-password=$password\n";
