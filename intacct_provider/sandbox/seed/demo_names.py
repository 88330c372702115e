"""The names, places and groups of the demo company's customers, all invented."""

from __future__ import annotations

# Each with its parent type.
CUSTOMER_TYPES = {
    "Commercial": None,
    "Enterprise": "Commercial",
    "Public Sector": None,
    "Healthcare": None,
    "Nonprofit": None,
    "Education": "Public Sector",
}
# Each with its description and the days until payment is due.
TERMS = {
    "Due on receipt": ("Due on receipt", 0),
    "Net 15": ("Net 15", 15),
    "Net 30": ("Net 30", 30),
    "Net 45": ("Net 45", 45),
    "Net 60": ("Net 60", 60),
    "2% 10 Net 30": ("2% discount in 10 days, net 30", 30),
}
TERRITORIES = {
    "NORTHEAST": "US Northeast",
    "SOUTH": "US South",
    "MIDWEST": "US Midwest",
    "WEST": "US West",
    "UK-IE": "United Kingdom and Ireland",
    "EMEA": "Europe, Middle East and Africa",
}
ENTITIES = {"US": "Sandbox Incorporated", "UK": "Sandbox Limited"}
# Each with its parent location.
LOCATIONS = {
    "US": ("Sandbox Incorporated", None),
    "UK": ("Sandbox Limited", None),
    "US-BOS": ("Boston", "US"),
    "US-AUS": ("Austin", "US"),
    "US-SJC": ("San Jose", "US"),
    "UK-LON": ("London", "UK"),
}
# Each with its parent department and its manager.
DEPARTMENTS = {
    "100": ("Sales", None, "E-101"),
    "110": ("Partner sales", "100", "E-104"),
    "200": ("Marketing", None, "E-105"),
    "300": ("Engineering", None, "E-106"),
    "400": ("Customer success", "100", "E-107"),
    "500": ("Finance", None, "E-108"),
}
# Each with title, department, location and manager.
EMPLOYEES = {
    "E-101": ("Alma Reyes", "VP Sales", "100", "US-BOS", None),
    "E-102": ("Bo Lindqvist", "Account executive", "100", "US-BOS", "E-101"),
    "E-103": ("Chidi Okafor", "Account executive", "100", "UK-LON", "E-101"),
    "E-104": ("Dana Whitfield", "Partner manager", "110", "US-AUS", "E-101"),
    "E-105": ("Éloïse Martin", "Marketing manager", "200", "UK-LON", "E-101"),
    "E-106": ("Farid Haddad", "Solutions engineer", "300", "US-SJC", "E-104"),
    "E-107": ("Grace O'Neill", "Customer success lead", "400", "US-AUS", "E-101"),
    "E-108": ("Hiro Tanabe", "Billing specialist", "500", "US-BOS", "E-107"),
}
USERS = {
    "Admin": "Administrator",
    "airflow": "Airflow integration",
    "ar.clerk": "Receivables clerk",
    "controller": "Controller",
}
PEOPLE = [
    ("Ana", "Silva"),
    ("Ben", "Carter"),
    ("Carla", "D'Angelo"),
    ("Derek", "Nguyen"),
    ("Emre", "Şahin"),
    ("Fiona", "MacLeod"),
    ("Gustav", "Sjöberg"),
    ("Hannah", "Weiß"),
    ("Imani", "Brooks"),
    ("Jonas", "Peña"),
    ("Keiko", "Mori"),
    ("Liam", "O'Connor"),
]
CONTACTS = {f"{first} {last}": f"{first} {last}" for first, last in PEOPLE}

PLACES: list[tuple[str, str, str | None, str]] = [
    ("NORTHEAST", "Boston", "MA", "United States"),
    ("NORTHEAST", "Albany", "NY", "United States"),
    ("SOUTH", "Atlanta", "GA", "United States"),
    ("SOUTH", "Austin", "TX", "United States"),
    ("MIDWEST", "Des Moines", "IA", "United States"),
    ("MIDWEST", "Milwaukee", "WI", "United States"),
    ("WEST", "Portland", "OR", "United States"),
    ("WEST", "San José", "CA", "United States"),
    ("UK-IE", "Leeds", None, "United Kingdom"),
    ("UK-IE", "London", None, "United Kingdom"),
    ("EMEA", "Lyon", None, "France"),
    ("EMEA", "Köln", None, "Germany"),
]
ISO_CODES = {"United States": "US", "United Kingdom": "GB", "France": "FR", "Germany": "DE"}
STREETS = ["Main Street", "Harbor Road", "Mill Lane", "Station Road", "Commerce Drive", "O'Farrell Street"]
NOTES = [
    "Send statements to the parent company.",
    "Purchase order number required on every invoice.",
    "Disputes go to the controller first; pays by check, monthly.",
    'Legal name differs: trades as "Harbor".',
]

FAMILIES = {
    "Northwind Freight Group": [
        "Northwind Freight East",
        "Northwind Freight West",
        "Northwind Air Cargo",
        "Northwind Customs Brokers",
    ],
    "Bluestone Health Partners": ["Bluestone Clinics", "Bluestone Imaging", "Bluestone Pharmacy"],
    "Calder Manufacturing Holdings": [
        "Calder Castings",
        "Calder Robotics",
        "Calder Tooling",
        "Calder UK Ltd",
    ],
    "Meridian Retail Group": ["Meridian Home", "Meridian Outlet", "Meridian Online"],
    "Oakhurst University System": ["Oakhurst College", "Oakhurst Medical School", "Oakhurst Press"],
    "State of Franklin": [
        "Franklin Department of Transportation",
        "Franklin Department of Revenue",
        "Franklin State Parks",
    ],
    "Harbor Energy, Inc.": ["Harbor Wind", "Harbor Solar", "Harbor Pipeline, LP"],
    "Brightwater Foods": ["Brightwater Dairy", "Brightwater Produce", "Brightwater Café"],
    "Sterling & O'Hara Hotels": ["O'Hara Hotel Boston", "O'Hara Hotel London", "Sterling Catering"],
    "Kestrel Media": ["Kestrel Broadcasting", "Kestrel Studios"],
    "Müller Gruppe AG": ["Müller Maschinenbau GmbH", "Müller Logistik GmbH"],
    "Pinecrest Insurance": ["Pinecrest Life", "Pinecrest Property"],
}
GRANDCHILDREN = ["Northwind Oregon Depot", "Northwind Nevada Depot"]
SPECIAL_NAMES = [
    "O'Malley & Sons, Inc.",
    "Café Lumière",
    "Jones, Ives & Company",
    "Société de Transport Rhône-Alpes",
    'Harbor "H2" Laboratories',
    "São Bento Imports",
    "Łódź Textiles",
    "Ñandú Outdoor",
    "acme widgets",
    "ACME Widgets",
    "Kyōto Precision",
    "D'Artagnan Fine Foods",
    "100% Organic, LLC",
    "Smith_Jones Architects",
]
FIRST_WORDS = [
    *(
        "Alder",
        "Beacon",
        "Cobalt",
        "Copper",
        "Crescent",
        "Delta",
        "Eastgate",
        "Evergreen",
        "Falcon",
        "Granite",
    ),
    *(
        "Highland",
        "Ironwood",
        "Juniper",
        "Keystone",
        "Lakeside",
        "Maple",
        "Orchard",
        "Pacific",
        "Quarry",
        "Redwood",
    ),
    *("Sable", "Summit", "Tidewater", "Union", "Valley", "Willow"),
]
SECOND_WORDS = [
    *(
        "Analytics",
        "Builders",
        "Clinic",
        "Consulting",
        "County Schools",
        "Electric",
        "Foundation",
        "Hospital",
    ),
    *("Logistics", "Manufacturing", "Partners", "Retail", "Software", "Supply"),
]
UK_NAMES = [
    "Ashdown Borough Council",
    "Brackley Motors",
    "Cotswold Cider Works",
    "Dunmore & Daughters",
    "Exmoor Lettings",
    "Fenwick's Pumps",
]

FILTER_GROUPS: dict[str, tuple[str, *tuple[object, ...]]] = {
    "ACTIVE": ("Active customers", {"$eq": {"status": "active"}}),
    "INACTIVE": ("Inactive customers", {"$eq": {"status": "inactive"}}),
    "ON-HOLD": ("Customers on credit hold", {"$eq": {"isOnHold": True}}),
    "ENTERPRISE": (
        "Enterprise customers",
        {"$eq": {"customerType.id": "Enterprise"}},
        {"$ne": {"status": "inactive"}},
    ),
    "PUBLIC-SECTOR": ("Public sector", {"$in": {"customerType.id": ["Public Sector", "Education"]}}),
    "HEALTHCARE": ("Healthcare", {"$eq": {"customerType.id": "Healthcare"}}),
    "EMEA": ("Europe and United Kingdom", {"$in": {"territory.id": ["EMEA", "UK-IE"]}}),
    "NET-60": ("Net 60 customers", {"$eq": {"term.id": "Net 60"}}),
    "HIGH-BALANCE": ("Balance over 10,000", {"$gt": {"totalDue": "10000"}}),
    "NO-CREDIT-LIMIT": ("Customers without a credit limit", {"$eq": {"creditLimit": None}}),
}
MEMBER_GROUPS: dict[str, tuple[str, list[int]]] = {
    "NORTHWIND": ("Northwind companies", [1, 2, 3, 4, 5]),
    "BOARD-REPORT": ("Customers named in the board report", [27, 1, 14, 6, 31, 10]),
    "KEY-ACCOUNTS": ("Key accounts", [6, 1, 22, 18, 10, 35, 42]),
    "PILOT-BILLING": ("Pilot of the new billing", [61, 60, 75]),
}
DESCRIPTIONS = {
    "ENTERPRISE": "Billed by the enterprise team, inactive customers left out",
    "HIGH-BALANCE": "Reviewed by the controller every Monday",
    "KEY-ACCOUNTS": "Named members, as long as they are active",
    "PILOT-BILLING": "Only until the pilot ends",
}
STRUCTURES = frozenset({"ENTERPRISE", "PUBLIC-SECTOR", "EMEA", "BOARD-REPORT"})
