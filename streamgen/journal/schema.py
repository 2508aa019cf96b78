"""The tables of a run's database, and the marks by which a file is known to be one.

What comes with every ticket is kept in pages, one a commit, so that a ticket costs bytes and no rows. A page lies in
the log beside the database, and its row says where; `page(at, size)`, which connections of ours know, gives its bytes.
The views show pages as rows; they are too slow for the hot path. `commits` takes what most commits bring in one
statement, and shows nothing.
"""

APPLICATION_ID = 0x5374_6731  # "Stg1": says to anybody who finds the file what it is
VERSION = 3

SCHEMA = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE progress (n INTEGER PRIMARY KEY, log_bytes INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE record_pages (
    last INTEGER PRIMARY KEY, count INTEGER NOT NULL, at INTEGER NOT NULL, size INTEGER NOT NULL
);
CREATE TABLE outcome_pages (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, size INTEGER NOT NULL);
CREATE TABLE call_pages (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, size INTEGER NOT NULL);
CREATE TABLE open_call_pages (n INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE memory_pages (n INTEGER PRIMARY KEY, stage TEXT NOT NULL, at INTEGER NOT NULL, size INTEGER NOT NULL);
CREATE TABLE wasted (
    n INTEGER PRIMARY KEY, ticket INTEGER NOT NULL, stage TEXT NOT NULL, model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, requests INTEGER NOT NULL, cost_usd REAL
);
CREATE TABLE surplus (n INTEGER PRIMARY KEY, ticket INTEGER NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE only_surplus (ticket INTEGER PRIMARY KEY);
CREATE TABLE letters (
    n INTEGER PRIMARY KEY, ticket INTEGER NOT NULL, stage TEXT NOT NULL, record TEXT NOT NULL,
    columns BLOB NOT NULL, error TEXT NOT NULL, traceback TEXT NOT NULL,
    UNIQUE (ticket, stage, record)
);
CREATE INDEX letters_by_stage ON letters (stage);
CREATE TABLE trials (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE rewards (n INTEGER PRIMARY KEY, trial INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE retunes (ticket INTEGER PRIMARY KEY, settings BLOB NOT NULL);
CREATE TABLE places (row INTEGER PRIMARY KEY, at BLOB NOT NULL);
CREATE TABLE sinks (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE snapshots (
    name TEXT PRIMARY KEY, seq INTEGER NOT NULL, settings BLOB NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, started REAL NOT NULL, seconds REAL NOT NULL, end TEXT NOT NULL, statistics BLOB NOT NULL
);
CREATE VIEW commits AS
    SELECT 0 AS last, 0 AS count, 0 AS records_at, 0 AS records_size, 0 AS outcomes_at, 0 AS outcomes_size,
        0 AS call_page, 0 AS calls_at, 0 AS calls_size, 0 AS log_bytes, 0 AS progress
    WHERE false;
CREATE TRIGGER of_a_commit INSTEAD OF INSERT ON commits BEGIN
    INSERT INTO record_pages SELECT NEW.last, NEW.count, NEW.records_at, NEW.records_size WHERE NEW.last NOTNULL;
    INSERT INTO outcome_pages SELECT NULL, NEW.outcomes_at, NEW.outcomes_size WHERE NEW.outcomes_at NOTNULL;
    INSERT INTO call_pages SELECT NEW.call_page, NEW.calls_at, NEW.calls_size WHERE NEW.calls_at NOTNULL;
    INSERT OR REPLACE INTO progress VALUES (1, NEW.log_bytes, NEW.progress);
END;
CREATE VIEW records AS
    SELECT last - count + 1 + key AS seq, json_extract(value, '$._meta.ticket') AS ticket,
        json_extract(value, '$._meta.id') AS id, value AS body
    FROM record_pages, json_each('[' || replace(CAST(page(at, size) AS TEXT), char(10), ',') || ']');
CREATE VIEW outcomes AS
    SELECT ticket, CASE WHEN kind = 'surplus' AND ticket NOT IN only_surplus THEN 'accepted' ELSE kind END AS outcome,
        drops, error
    FROM (
        SELECT CASE type WHEN 'array' THEN json_extract(value, '$[0]') ELSE value END AS ticket,
            CASE type WHEN 'array' THEN json_extract(value, '$[1]') ELSE 'accepted' END AS kind,
            CASE type WHEN 'array' THEN json_extract(value, '$[2]') END AS drops,
            CASE type WHEN 'array' THEN json_extract(value, '$[3]') END AS error
        FROM outcome_pages, json_each(CAST(page(at, size) AS TEXT))
    );
CREATE VIEW calls AS
    SELECT json_extract(value, '$[0]') AS ticket, json_extract(value, '$[1]') AS stage,
        json_extract(value, '$[2]') AS record, json_extract(value, '$[3]') AS n, json_extract(value, '$[4]') AS model,
        json_extract(value, '$[5]') AS request, json_extract(value, '$[6]') AS response,
        json_extract(value, '$[7]') AS prompt_tokens, json_extract(value, '$[8]') AS completion_tokens,
        json_extract(value, '$[9]') AS requests, json_extract(value, '$[10]') AS cost_usd
    FROM (SELECT page(at, size) AS body FROM call_pages UNION ALL SELECT body FROM open_call_pages),
        json_each(CAST(body AS TEXT));
"""

INSERTS = {
    "facts": "INSERT OR REPLACE INTO facts VALUES (?, ?)",
    "wasted": "INSERT INTO wasted VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
    "surplus": "INSERT INTO surplus (ticket, id, body) VALUES (?, ?, ?)",
    "letters": (
        "INSERT OR REPLACE INTO letters (ticket, stage, record, columns, error, traceback) VALUES (?, ?, ?, ?, ?, ?)"
    ),
    "trials": "INSERT OR REPLACE INTO trials VALUES (?, ?)",
    "dropped_trials": "DELETE FROM trials WHERE id >= ?",  # those that never began
    "rewards": "INSERT INTO rewards (trial, body) VALUES (?, ?)",
    "retunes": "INSERT OR REPLACE INTO retunes VALUES (?, ?)",
    "places": "INSERT OR REPLACE INTO places VALUES (?, ?)",
    "sinks": "INSERT OR REPLACE INTO sinks VALUES (?, ?, ?)",
    "snapshots": "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)",
    "sessions": "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?)",
}
"""How a row of each table is appended; the columns are those of the schema, in order. The rest goes into pages."""
