//! Words that records are made of.

pub(super) const FIRST: [&str; 12] = [
    "Ada",
    "Alan",
    "Barbara",
    "Dennis",
    "Edsger",
    "Frances",
    "Grace",
    "Hedy",
    "Katherine",
    "Linus",
    "Margaret",
    "Niklaus",
];
pub(super) const LAST: [&str; 12] = [
    "Abbott",
    "Brandt",
    "Chowdhury",
    "Dubois",
    "Eriksen",
    "Fernández",
    "Grünwald",
    "Hashimoto",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
];
pub(super) const TITLES: [&str; 6] =
    ["Accountant", "Buyer", "Engineer", "Head of Sales", "Operations Lead", "Support Agent"];
pub(super) const DEPARTMENTS: [&str; 5] = ["Engineering", "Finance", "Operations", "Sales", "Support"];
pub(super) const COMPANIES: [&str; 10] = [
    "Alder & Finch",
    "Blue Harbour",
    "Copperfield",
    "Dovetail",
    "Eastgate",
    "Fairwater",
    "Greystone",
    "Highmoor",
    "Inkwell",
    "Juniper",
];
pub(super) const FORMS: [&str; 5] = ["AG", "GmbH", "Inc.", "Ltd", "S.A."];
pub(super) const CITIES: [(&str, &str); 6] =
    [("Lisbon", "PT"), ("Leeds", "GB"), ("Lyon", "FR"), ("Toronto", "CA"), ("Uppsala", "SE"), ("Zürich", "CH")];
pub(super) const STREETS: [&str; 5] = ["Bridge Street", "Canal Row", "Mill Lane", "Station Road", "Upper Square"];
pub(super) const INDUSTRIES: [&str; 6] = ["Education", "Energy", "Finance", "Healthcare", "Logistics", "Retail"];
pub(super) const TAGS: [&str; 6] = ["beta", "europe", "key-account", "newsletter", "partner", "renewal"];
pub(super) const STAGES: [&str; 5] = ["qualified", "proposal", "negotiation", "won", "lost"];
pub(super) const SOURCES: [&str; 4] = ["email", "phone", "referral", "web"];
pub(super) const STATUSES: [&str; 4] = ["open", "pending", "solved", "closed"];
pub(super) const PRIORITIES: [&str; 4] = ["low", "normal", "high", "urgent"];
pub(super) const TROUBLES: [&str; 6] = [
    "Cannot sign in since the last update",
    "Invoice shows the wrong address",
    "Export stops half-way",
    "Password reset mail never arrives",
    "Totals differ between report and page",
    "Webhook is called twice",
];
