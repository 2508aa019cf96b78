"""The tables of a run's database, and the marks by which a file is known to be one."""

APPLICATION_ID = 0x5374_6731  # "Stg1": says to anybody who finds the file what it is
VERSION = 1

SCHEMA = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE calls (
    ticket INTEGER NOT NULL, stage TEXT NOT NULL, record TEXT NOT NULL, n INTEGER NOT NULL,
    model TEXT NOT NULL, request BLOB NOT NULL, response BLOB NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, requests INTEGER NOT NULL, cost_usd REAL,
    PRIMARY KEY (ticket, stage, record, n)
) WITHOUT ROWID;
CREATE TABLE wasted (
    n INTEGER PRIMARY KEY, ticket INTEGER NOT NULL, stage TEXT NOT NULL, model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, requests INTEGER NOT NULL, cost_usd REAL
);
CREATE TABLE outcomes (ticket INTEGER PRIMARY KEY, outcome TEXT NOT NULL, drops BLOB, error TEXT);
CREATE TABLE records (seq INTEGER PRIMARY KEY, ticket INTEGER NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE surplus (n INTEGER PRIMARY KEY, ticket INTEGER NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE letters (
    n INTEGER PRIMARY KEY, ticket INTEGER NOT NULL, stage TEXT NOT NULL, record TEXT NOT NULL,
    columns BLOB NOT NULL, error TEXT NOT NULL, traceback TEXT NOT NULL,
    UNIQUE (ticket, stage, record)
);
CREATE TABLE trials (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE rewards (n INTEGER PRIMARY KEY, trial INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE retunes (ticket INTEGER PRIMARY KEY, settings BLOB NOT NULL);
CREATE TABLE sinks (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, position INTEGER NOT NULL);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, started REAL NOT NULL, seconds REAL NOT NULL, end TEXT NOT NULL, statistics BLOB NOT NULL
);
"""

INSERTS = {
    "facts": "INSERT OR REPLACE INTO facts VALUES (?, ?)",
    "calls": "INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "wasted": "INSERT INTO wasted VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
    "outcomes": "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?)",
    "records": "INSERT INTO records VALUES (?, ?, ?, ?)",
    "surplus": "INSERT INTO surplus (ticket, id, body) VALUES (?, ?, ?)",
    "letters": (
        "INSERT OR REPLACE INTO letters (ticket, stage, record, columns, error, traceback) VALUES (?, ?, ?, ?, ?, ?)"
    ),
    "trials": "INSERT OR REPLACE INTO trials VALUES (?, ?)",
    "rewards": "INSERT INTO rewards (trial, body) VALUES (?, ?)",
    "retunes": "INSERT OR REPLACE INTO retunes VALUES (?, ?)",
    "sinks": "INSERT OR REPLACE INTO sinks VALUES (?, ?, ?)",
    "sessions": "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?)",
}
"""How a row of each table is appended; the columns are those of the schema, in order."""
