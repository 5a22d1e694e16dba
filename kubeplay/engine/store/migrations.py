"""The schema, step by step; each step and its record are one transaction.

A step is never changed once it has been released: add one. `objects.body` and secrets live in the same
0600 file, the watch log holds names only, so nothing secret is copied.
"""

from __future__ import annotations

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE objects (
        kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        uid TEXT NOT NULL UNIQUE, resource_version INTEGER NOT NULL, generation INTEGER NOT NULL,
        created REAL NOT NULL, deleted REAL, grace_seconds INTEGER, owner_uid TEXT NOT NULL DEFAULT '',
        body TEXT NOT NULL, status TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (kind, namespace, name)) WITHOUT ROWID;
    CREATE INDEX objects_owner ON objects (owner_uid);
    CREATE TABLE watch (
        resource_version INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL,
        kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, time REAL NOT NULL);
    CREATE TABLE pods (
        uid TEXT PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL, plan TEXT NOT NULL,
        desired TEXT NOT NULL, restarts_allowed INTEGER NOT NULL DEFAULT 1, wake_at REAL,
        sandbox_attempts INTEGER NOT NULL DEFAULT 0, initialized INTEGER NOT NULL DEFAULT 0,
        UNIQUE (namespace, name)) WITHOUT ROWID;
    CREATE TABLE sandboxes (
        id TEXT PRIMARY KEY, pod_uid TEXT NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL,
        boot TEXT NOT NULL, created REAL NOT NULL, addresses TEXT NOT NULL DEFAULT '[]') WITHOUT ROWID;
    CREATE INDEX sandboxes_pod ON sandboxes (pod_uid);
    CREATE TABLE containers (
        id TEXT PRIMARY KEY, pod_uid TEXT NOT NULL, sandbox_id TEXT NOT NULL, name TEXT NOT NULL,
        kind TEXT NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL, boot TEXT NOT NULL,
        pid INTEGER NOT NULL DEFAULT 0, pid_start INTEGER NOT NULL DEFAULT 0,
        image TEXT NOT NULL, image_id TEXT NOT NULL, created REAL NOT NULL, started REAL, finished REAL,
        exit_code INTEGER, reason TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
        log_path TEXT NOT NULL DEFAULT '', env_hash TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
    CREATE INDEX containers_pod ON containers (pod_uid);
    CREATE TABLE backoffs (
        pod_uid TEXT NOT NULL, key TEXT NOT NULL, delay REAL NOT NULL, since REAL NOT NULL,
        reason TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (pod_uid, key)) WITHOUT ROWID;
    CREATE TABLE images (
        id TEXT PRIMARY KEY, config TEXT NOT NULL, layers TEXT NOT NULL, size INTEGER NOT NULL,
        manifest_digest TEXT NOT NULL DEFAULT '', created REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE image_names (name TEXT PRIMARY KEY, image_id TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE networks (
        name TEXT PRIMARY KEY, subnet TEXT NOT NULL, gateway TEXT NOT NULL, bridge TEXT NOT NULL,
        options TEXT NOT NULL DEFAULT '{}', created REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE volumes (
        namespace TEXT NOT NULL, name TEXT NOT NULL, driver TEXT NOT NULL DEFAULT 'local',
        options TEXT NOT NULL DEFAULT '{}', labels TEXT NOT NULL DEFAULT '{}', created REAL NOT NULL,
        PRIMARY KEY (namespace, name)) WITHOUT ROWID;
    CREATE TABLE leases (
        pool TEXT NOT NULL, key TEXT NOT NULL, holder TEXT NOT NULL, value TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (pool, key)) WITHOUT ROWID;
    CREATE INDEX leases_holder ON leases (holder);
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        uid TEXT NOT NULL, type TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,
        count INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL);
    CREATE INDEX events_object ON events (uid);
    """,
    # documents: manifests and indexes an image is known by, their bytes in root/images/HEX; image_id "" = an index stored for itself.
    # blobs: how a layer was packed when it came or went (root/blobs/HEX holds what came).
    """
    CREATE TABLE documents (
        digest TEXT NOT NULL, image_id TEXT NOT NULL, media_type TEXT NOT NULL, PRIMARY KEY (digest, image_id)) WITHOUT ROWID;
    CREATE INDEX documents_image ON documents (image_id);
    INSERT INTO documents SELECT manifest_digest, id, '' FROM images WHERE manifest_digest <> '';
    CREATE TABLE blobs (
        diff_id TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, compression TEXT NOT NULL,
        PRIMARY KEY (diff_id, digest)) WITHOUT ROWID;
    CREATE TABLE signatures (
        digest TEXT NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL, annotations TEXT NOT NULL,
        PRIMARY KEY (digest, kind, payload, annotations)) WITHOUT ROWID;
    """,
    # what a step of a build made, by what went into it (engine/store/builds.py)
    """
    CREATE TABLE build_steps (
        key TEXT PRIMARY KEY, prefix TEXT NOT NULL, layer TEXT NOT NULL, created TEXT NOT NULL, summary TEXT NOT NULL,
        image_id TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX build_steps_prefix ON build_steps (prefix);
    CREATE INDEX build_steps_image ON build_steps (image_id);
    """,
    # manifest lists made here (engine/images/lists.py); their names are in image_names
    """
    CREATE TABLE image_lists (
        id TEXT PRIMARY KEY, body TEXT NOT NULL, sources TEXT NOT NULL DEFAULT '{}', created REAL NOT NULL) WITHOUT ROWID;
    """,
    # every name an image has had, as `images --history` shows them
    """
    CREATE TABLE image_name_history (
        number INTEGER PRIMARY KEY AUTOINCREMENT, image_id TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (image_id, name));
    INSERT INTO image_name_history (image_id, name) SELECT image_id, name FROM image_names ORDER BY name;
    CREATE TRIGGER image_named AFTER INSERT ON image_names BEGIN
        INSERT OR IGNORE INTO image_name_history (image_id, name) VALUES (new.image_id, new.name);
    END;
    CREATE TRIGGER image_gone AFTER DELETE ON images BEGIN
        DELETE FROM image_name_history WHERE image_id = old.id;
    END;
    """,
    # results of probes, by container instance (engine/store/probes.py)
    """
    CREATE TABLE probes (
        container_id TEXT NOT NULL, kind TEXT NOT NULL, result TEXT NOT NULL, since REAL NOT NULL, message TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (container_id, kind)) WITHOUT ROWID;
    CREATE TRIGGER container_gone AFTER DELETE ON containers BEGIN
        DELETE FROM probes WHERE container_id = old.id;
    END;
    """,
    # which claim has or had which PersistentVolume; a named volume may be a directory of the host's own ('' = ours)
    """
    CREATE TABLE bindings (
        volume TEXT PRIMARY KEY, namespace TEXT NOT NULL, claim TEXT NOT NULL, claim_uid TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX bindings_claim ON bindings (namespace, claim);
    ALTER TABLE volumes ADD COLUMN path TEXT NOT NULL DEFAULT '';
    """,
    # who a container's first process runs as: uid, gid and groups (SC2)
    """
    ALTER TABLE containers ADD COLUMN user TEXT NOT NULL DEFAULT '';
    """,
    # the controllers' cursor (the row without a name) and timers; whose object it was that changed
    """
    CREATE TABLE controllers (
        kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0, wake_at REAL,
        PRIMARY KEY (kind, namespace, name)) WITHOUT ROWID;
    ALTER TABLE watch ADD COLUMN owner TEXT NOT NULL DEFAULT '';
    """,
    # networks: the driver, the second family; `more` = ranges, internal, dns, labels as JSON
    """
    ALTER TABLE networks ADD COLUMN driver TEXT NOT NULL DEFAULT 'bridge';
    ALTER TABLE networks ADD COLUMN subnet6 TEXT NOT NULL DEFAULT '';
    ALTER TABLE networks ADD COLUMN gateway6 TEXT NOT NULL DEFAULT '';
    ALTER TABLE networks ADD COLUMN more TEXT NOT NULL DEFAULT '{}';
    """,
    # what was applied (engine/store/applied.py): the last file's text of each object, which goes with it; stacks and their revisions
    """
    CREATE TABLE stacks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL DEFAULT '',
        UNIQUE (namespace, name));
    CREATE TABLE applied (uid TEXT PRIMARY KEY, stack INTEGER NOT NULL, given TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX applied_stack ON applied (stack);
    CREATE TABLE revisions (
        stack INTEGER NOT NULL, number INTEGER NOT NULL, time REAL NOT NULL, status TEXT NOT NULL, changes TEXT NOT NULL DEFAULT '',
        cause TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '', objects BLOB NOT NULL, PRIMARY KEY (stack, number)) WITHOUT ROWID;
    CREATE TRIGGER object_gone AFTER DELETE ON objects BEGIN
        DELETE FROM applied WHERE uid = old.uid;
    END;
    """,
    # what the supervisor asks for all the time: whose wake time comes, and who is to end (a plan is long, and lies before these columns)
    """
    CREATE INDEX pods_wake ON pods (wake_at) WHERE wake_at IS NOT NULL;
    CREATE INDEX pods_desired ON pods (desired);
    """,
)
