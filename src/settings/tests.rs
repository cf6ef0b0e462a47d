use super::*;
use crate::store::Duty;

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, String> {
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Settings::load(Some(file), owned(environment), &owned(flags)).map_err(|error| error.to_string())
}

#[test]
fn without_any_source_the_defaults_hold() {
    assert_eq!(load("", &[], &[]), Ok(Settings::default()));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "listen = \"127.0.0.1:1\"\n[poll]\nruns_max = 1\njobs_max = 1\npages_per_run_max = 1";
    let environment = [("ANYHOOK_POLL_RUNS_MAX", "2"), ("ANYHOOK_POLL_JOBS_MAX", "2"), ("HOME", "/")];
    let settings = load(file, &environment, &[("poll.runs_max", "3")]).unwrap();
    let poll = &settings.limits.poll;
    assert_eq!((poll.runs_max, poll.jobs_max, poll.pages_per_run_max), (3, 2, 1));
    assert_eq!(settings.listen.port(), 1);
}

#[test]
fn every_limit_can_be_set_by_its_variable() {
    for names::Setting { path, variable, kind } in names::known() {
        if names::is_limit(&path) {
            let value = if kind == names::Kind::Number { "77" } else { "77,78" };
            // Contradictions with defaults are possible; an unknown or unread name is not.
            if let Err(error) = load("", &[(&variable, value)], &[]) {
                assert!(
                    error.contains("must not be over")
                        || error.contains("must be below")
                        || error.contains("needs both"),
                    "{variable}: {error}"
                );
            }
        }
    }
    let settings =
        load("", &[("ANYHOOK_DELIVER_RETRY_SCHEDULE_MS", "1_000, 5000"), ("ANYHOOK_INTERVAL_FLOOR_MS", "50")], &[]);
    let limits = settings.unwrap().limits;
    assert_eq!((limits.deliver.retry_schedule_ms, limits.api.interval_floor_ms), (vec![1_000, 5_000], 50));
}

#[test]
fn budgets_are_set_by_integration_in_the_file_and_the_environment() {
    let file = "[poll]\nruns_max = 7\n[poll.budgets.hubspot]\nrequests = 19\nper_ms = 1_000";
    let environment =
        [("ANYHOOK_POLL_BUDGETS_HUBSPOT_REQUESTS", "15"), ("ANYHOOK_POLL_BUDGETS_GITHUB_PER_MS", "3_600_000")];
    let poll = load(file, &environment, &[]).unwrap().limits.poll;
    let budget = |name: &str| poll.budgets[name].clone();
    assert_eq!((poll.runs_max, budget("hubspot").requests, budget("hubspot").per_ms), (7, Some(15), Some(1_000)));
    assert_eq!((budget("github").requests, budget("github").per_ms), (None, Some(3_600_000)));
    let cases = [
        ("[poll.budgets.hubpot]\nrequests = 1", "did you mean poll.budgets.hubspot.requests?"),
        ("[poll.budgets.hubspot]\nrequest = 1", "did you mean poll.budgets.hubspot.requests?"),
        ("[poll.budgets]\nhubspot = 1", "unknown setting poll.budgets.hubspot"),
        ("[poll.budgets.hubspot]\nrequests = 0", "one or more"),
        ("[poll.budgets.hubspot]\nrequests = \"many\"", "poll.budgets.hubspot.requests must be a whole number"),
        ("[poll.budgets.hubspot]\napp_requests = 5", "needs both app_requests and app_per_ms"),
    ];
    for (file, expected) in cases {
        let error = load(file, &[], &[]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_what_was_meant() {
    let cases: &[(Result<Settings, String>, &str)] = &[
        (
            load("", &[("ANYHOOK_POLL_RUN_MAX", "1")], &[]),
            "unknown setting ANYHOOK_POLL_RUN_MAX: did you mean ANYHOOK_POLL_RUNS_MAX?",
        ),
        (load("", &[("ANYHOOK_LISTN", "1")], &[]), "unknown setting ANYHOOK_LISTN: did you mean ANYHOOK_LISTEN?"),
        (load("", &[("ANYHOOK_API_INTERVAL_FLOOR_MS", "1")], &[]), "did you mean ANYHOOK_INTERVAL_FLOOR_MS?"),
        (load("", &[("ANYHOOK_RUNS_MAX", "1")], &[]), "did you mean ANYHOOK_POLL_RUNS_MAX?"),
        (load("[poll]\nrunsmax = 1", &[], &[]), "unknown setting poll.runsmax: did you mean poll.runs_max?"),
        (load("runs_max = 1", &[], &[]), "unknown setting runs_max: did you mean poll.runs_max?"),
        (load("", &[], &[("pol.runs_max", "1")]), "unknown setting pol.runs_max: did you mean poll.runs_max?"),
    ];
    for (result, expected) in cases {
        let error = result.as_ref().unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(load("[colours]\nsky = 1", &[], &[]).unwrap_err(), "unknown setting colours.sky");
}

#[test]
fn an_unreadable_value_is_refused_by_name_and_not_repeated() {
    let cases: &[(Result<Settings, String>, &str)] = &[
        (load("", &[("ANYHOOK_LISTEN", "here")], &[]), "ANYHOOK_LISTEN must be an address with a port"),
        (load("", &[("ANYHOOK_POLL_RUNS_MAX", "many")], &[]), "ANYHOOK_POLL_RUNS_MAX must be a whole number"),
        (load("", &[("ANYHOOK_POLL_RUNS_MAX", "0")], &[]), "ANYHOOK_POLL_RUNS_MAX must be a whole number, one or more"),
        (load("", &[("ANYHOOK_POLL_RUNS_MAX", "-1")], &[]), "one or more"),
        (load("", &[("ANYHOOK_POLL_PAGES_PER_RUN_MAX", "5000000000")], &[]), "must be a smaller number"),
        (
            load("", &[("ANYHOOK_DESTINATIONS_ALLOW", "10.0.0.0/8,home")], &[]),
            "ANYHOOK_DESTINATIONS_ALLOW must be a list of networks",
        ),
        (load("", &[("ANYHOOK_PUBLIC_URL", "ftp://x")], &[]), "ANYHOOK_PUBLIC_URL must be an http or https URL"),
        (load("", &[("ANYHOOK_LOG_FORMAT", "xml")], &[]), "ANYHOOK_LOG_FORMAT must be text or json"),
        (load("", &[("ANYHOOK_STORE", "mysql")], &[]), "ANYHOOK_STORE must be sled or memory"),
        (load("", &[("ANYHOOK_STORE", "postgres://db:port/x")], &[]), "ANYHOOK_STORE must be a PostgreSQL URL"),
        (
            load("", &[("ANYHOOK_STORE", "postgres://db/x"), ("ANYHOOK_STORE_SCHEMA", "a-b")], &[]),
            "store.schema must be",
        ),
        (load("listen = 8080", &[], &[]), "listen must be a text in quotes"),
        (load("[poll]\nruns_max = \"8\"", &[], &[]), "poll.runs_max must be a whole number"),
        (load("listen = ", &[], &[]), "the settings file cannot be read"),
    ];
    for (result, expected) in cases {
        let error = result.as_ref().unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    for variable in ["ANYHOOK_API_KEY", "ANYHOOK_WORKSPACE_SECRET", "ANYHOOK_MASTER_KEY"] {
        let error = load("", &[(variable, "x y z")], &[]).unwrap_err();
        assert!(error.contains(variable) && !error.contains("x y z"), "{error}");
    }
}

#[test]
fn the_dashboard_is_served_unless_it_is_switched_off() {
    assert!(load("", &[], &[]).unwrap().dashboard);
    assert!(!load("dashboard = false", &[], &[]).unwrap().dashboard);
    assert!(load("dashboard = false", &[("ANYHOOK_DASHBOARD", "true")], &[]).unwrap().dashboard);
    let error = load("", &[("ANYHOOK_DASHBOARD", "off")], &[]).unwrap_err();
    assert!(error.contains("ANYHOOK_DASHBOARD must be true or false"), "{error}");
}

#[test]
fn contradictions_are_refused() {
    let cases = [
        ("ANYHOOK_DELIVER_ATTEMPT_DEADLINE_MS", "30000", "store.lease_ttl_ms"),
        ("ANYHOOK_INTERVAL_FLOOR_MS", "60001", "api.interval_default_ms"),
        ("ANYHOOK_POLL_PAUSE_FLOOR_MS", "90000000", "poll.pause_max_ms"),
        ("ANYHOOK_DELIVER_CONNECT_TIMEOUT_MS", "15001", "deliver.attempt_deadline_ms"),
        ("ANYHOOK_DELIVER_FIRST_BYTE_TIMEOUT_MS", "9999", "deliver.connect_timeout_ms"),
        ("ANYHOOK_DELIVER_FIRST_BYTE_TIMEOUT_MS", "15001", "deliver.attempt_deadline_ms"),
        ("ANYHOOK_DELIVER_ATTEMPT_DEADLINE_MS", "9999", "deliver.connect_timeout_ms"),
        ("ANYHOOK_POLL_CONNECT_TIMEOUT_MS", "60001", "poll.request_deadline_ms"),
        ("ANYHOOK_API_RETRY_WAIT_FLOOR_MS", "604800001", "api.retry_wait_max_ms"),
        ("ANYHOOK_DELIVER_HOST_SLOTS_MAX", "257", "deliver.slots_max"),
        ("ANYHOOK_POLL_JITTER_PERCENT", "101", "poll.jitter_percent"),
    ];
    for (variable, value, other) in cases {
        let error = load("", &[(variable, value)], &[]).unwrap_err();
        assert!(error.contains(other), "{error}");
    }
}

#[test]
fn networks_and_urls_are_read_and_secrets_are_not_shown() {
    let environment = [
        ("ANYHOOK_DESTINATIONS_ALLOW", "127.0.0.0/8, ::1"),
        ("ANYHOOK_PUBLIC_URL", "https://hooks.example.com/in/"),
        ("ANYHOOK_API_KEY", "a-key-of-my-own-making"),
    ];
    let settings = load("vendors_allow = [\"10.1.2.3\"]", &environment, &[]).unwrap();
    assert_eq!(settings.destinations_allow, ["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert_eq!(settings.vendors_allow, ["10.1.2.3/32".parse().unwrap()]);
    assert_eq!(settings.public_url.as_deref(), Some("https://hooks.example.com/in"));
    assert!(!format!("{settings:?}").contains("a-key-of"));
}

#[test]
fn where_requests_may_go_and_through_what_is_read() {
    let environment = [
        ("ANYHOOK_DESTINATIONS_PORTS", "443, 8000-8999"),
        ("ANYHOOK_DESTINATIONS_HTTPS_ONLY", "true"),
        ("ANYHOOK_EGRESS_PROXY", "http://us:pass-word@proxy.example:3128"),
    ];
    let settings = load("", &environment, &[]).unwrap();
    assert_eq!(settings.destinations_ports, Ports::new(vec![443..=443, 8000..=8999]));
    assert!(settings.destinations_https_only);
    let shown = format!("{:?}", settings.egress_proxy);
    assert!(shown.contains("proxy.example") && !shown.contains("pass-word"), "{shown}");
    let file = "destinations_ports = [\"8080\"]\ndestinations_https_only = false";
    assert_eq!(load(file, &[], &[]).unwrap().destinations_ports, Ports::new(vec![8080..=8080]));
    for (variable, value) in [
        ("ANYHOOK_DESTINATIONS_PORTS", "https"),
        ("ANYHOOK_DESTINATIONS_PORTS", "0"),
        ("ANYHOOK_DESTINATIONS_PORTS", "9-8"),
        ("ANYHOOK_DESTINATIONS_PORTS", "65536"),
        ("ANYHOOK_DESTINATIONS_HTTPS_ONLY", "maybe"),
        ("ANYHOOK_EGRESS_PROXY", "socks5://u:pass-word@proxy:1080"),
        ("ANYHOOK_EGRESS_PROXY", "http://u:pass-word@proxy:3128/path"),
        ("ANYHOOK_EGRESS_PROXY", "proxy:3128"),
    ] {
        let error = load("", &[(variable, value)], &[]).unwrap_err();
        assert!(error.starts_with(&format!("{variable} must be ")) && !error.contains("pass-word"), "{error}");
    }
}

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_not_ours() {
    let environment = [
        ("ANYHOOK_SERVICE_HOST", "10.0.0.11"),
        ("ANYHOOK_SERVICE_PORT_HTTP", "80"),
        ("ANYHOOK_PORT", "tcp://10.0.0.11:80"),
        ("ANYHOOK_PORT_80_TCP_ADDR", "10.0.0.11"),
    ];
    assert_eq!(load("", &environment, &[]), Ok(Settings::default()));
    assert!(load("", &[("ANYHOOK_PORT", "8080")], &[]).unwrap_err().contains("ANYHOOK_PORT"));
}

#[test]
fn roles_are_read_and_wrong_ones_are_refused() {
    assert_eq!(load("", &[], &[]).unwrap().roles, Roles::default());
    let settings = load("", &[("ANYHOOK_ROLES", "poll, ingress")], &[]).unwrap();
    assert_eq!(settings.roles, Roles::new(&[Role::Ingress, Role::Poll]));
    assert_eq!((settings.roles.duties(), settings.roles.to_string()), (vec![Duty::Poll], "poll, ingress".to_owned()));
    for wrong in ["roles = []", "roles = [\"poll\", \"push\"]"] {
        let error = load(wrong, &[], &[]).unwrap_err().to_string();
        assert!(error.contains("roles") && error.contains("poll, deliver, api and ingress"), "{error}");
    }
}
