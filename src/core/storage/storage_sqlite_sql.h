// SPDX-License-Identifier: Apache-2.0
// storage_sqlite_sql.h: every statement that the SQLite storage runs again and again, by name; prepared at first use and
// kept for the life of the handle. ?1, ?2, ... are bound by hpt__sqlite_query in that order.
//
// Loading: the statements LOAD_* walk the study's trials (?1) with ids ?2..?3 through ix_trials_study_id and reach the
// rows of each through the unique index on trial_id; CROSS JOIN fixes that order, so nothing is sorted. SCAN_* read a
// whole table in the order of its rows: half the work when most of it belongs to the study (storage_sqlite_load.c).
#ifndef HPT_STORAGE_SQLITE_SQL_H
#define HPT_STORAGE_SQLITE_SQL_H

#define HPT__SQL_OF_TRIALS(columns, table, order)                                        \
    "SELECT " columns " FROM trials t CROSS JOIN " table " x ON x.trial_id = t.trial_id" \
    " WHERE t.study_id = ?1 AND t.trial_id BETWEEN ?2 AND ?3 ORDER BY t.trial_id" order
#define HPT__SQL_UPSERT_ATTR(table, owner)                                       \
    "INSERT INTO " table " (" owner ", \"key\", value_json) VALUES (?1, ?2, ?3)" \
    " ON CONFLICT (" owner ", \"key\") DO UPDATE SET value_json = excluded.value_json"

// X(name, text)
#define HPT__SQL_LIST(X)                                                                                                \
    X(BEGIN_READ, "BEGIN DEFERRED")                                                                                     \
    X(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                                                   \
    X(COMMIT, "COMMIT")                                                                                                 \
    X(ROLLBACK, "ROLLBACK")                                                                                             \
    X(DATA_VERSION, "PRAGMA data_version")                                                                              \
    /* studies */                                                                                                       \
    X(STUDY_INSERT, "INSERT INTO studies (study_name) VALUES (?1)")                                                     \
    X(STUDY_DIRECTION_INSERT, "INSERT INTO study_directions (direction, study_id, objective) VALUES (?1, ?2, ?3)")      \
    X(STUDY_BY_NAME, "SELECT study_id, study_name FROM studies WHERE study_name = ?1")                                  \
    X(STUDY_BY_ID, "SELECT 1 FROM studies WHERE study_id = ?1")                                                         \
    X(STUDY_ALL, "SELECT study_id, study_name FROM studies ORDER BY study_id")                                          \
    X(STUDY_DIRECTIONS, "SELECT direction FROM study_directions WHERE study_id = ?1 ORDER BY objective")                \
    X(STUDY_USER_GET, "SELECT value_json FROM study_user_attributes WHERE study_id = ?1 AND \"key\" = ?2")              \
    X(STUDY_SYSTEM_GET, "SELECT value_json FROM study_system_attributes WHERE study_id = ?1 AND \"key\" = ?2")          \
    X(STUDY_USER_SET, HPT__SQL_UPSERT_ATTR("study_user_attributes", "study_id"))                                        \
    X(STUDY_SYSTEM_SET, HPT__SQL_UPSERT_ATTR("study_system_attributes", "study_id"))                                    \
    X(STUDY_COUNTS, "SELECT state, COUNT(*), MIN(datetime_start) FROM trials WHERE study_id = ?1 GROUP BY state")       \
    X(STUDY_BEST,                                                                                                       \
      "SELECT MIN(v), MAX(v) FROM (SELECT CASE x.value_type WHEN 'INF_POS' THEN 9e999 WHEN 'INF_NEG' THEN -9e999"       \
      " ELSE x.value END AS v FROM trials t CROSS JOIN trial_values x ON x.trial_id = t.trial_id"                       \
      " WHERE t.study_id = ?1 AND t.state = 'COMPLETE' AND x.objective = 0)")                                           \
    /* writing trials */                                                                                                \
    X(TRIAL_INSERT,                                                                                                     \
      "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete) VALUES (?1, ?2, ?3, ?4, ?5)")    \
    X(PARAM_INSERT,                                                                                                     \
      "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?1, ?2, ?3, ?4)")        \
    X(PARAM_SET,                                                                                                        \
      "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?1, ?2, ?3, ?4)"         \
      " ON CONFLICT (trial_id, param_name) DO UPDATE SET param_value = excluded.param_value,"                           \
      " distribution_json = excluded.distribution_json")                                                                \
    X(VALUE_SET,                                                                                                        \
      "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?1, ?2, ?3, ?4)"                       \
      " ON CONFLICT (trial_id, objective) DO UPDATE SET value = excluded.value, value_type = excluded.value_type")      \
    X(REPORT_SET,                                                                                                       \
      "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)"             \
      " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (trial_id, step) DO UPDATE SET"                                             \
      " intermediate_value = excluded.intermediate_value,"                                                              \
      " intermediate_value_type = excluded.intermediate_value_type")                                                    \
    X(TRIAL_USER_SET, HPT__SQL_UPSERT_ATTR("trial_user_attributes", "trial_id"))                                        \
    X(TRIAL_SYSTEM_SET, HPT__SQL_UPSERT_ATTR("trial_system_attributes", "trial_id"))                                    \
    X(TRIAL_CLAIM,                                                                                                      \
      "UPDATE trials SET state = 'RUNNING', datetime_start = ?2 WHERE trial_id = ?1 AND state = 'WAITING'")             \
    X(TRIAL_UNCLAIM,                                                                                                    \
      "UPDATE trials SET state = 'WAITING', datetime_start = NULL WHERE trial_id = ?1 AND state = 'RUNNING'")           \
    X(TRIAL_FINISH,                                                                                                     \
      "UPDATE trials SET state = ?2, datetime_complete = ?3 WHERE trial_id = ?1 AND state IN ('RUNNING', 'WAITING')")   \
    X(TRIAL_STATE, "SELECT number, state FROM trials WHERE trial_id = ?1")                                              \
    X(HEARTBEAT_INSERT, "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (?1, ?2)")                           \
    /* reading trials */                                                                                                \
    X(LOAD_TRIALS, "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials"                      \
                   " WHERE study_id = ?1 AND trial_id BETWEEN ?2 AND ?3 ORDER BY trial_id")                             \
    X(LOAD_PARAMS,                                                                                                      \
      HPT__SQL_OF_TRIALS("x.trial_id, x.param_name, x.param_value, x.distribution_json", "trial_params", ""))           \
    X(LOAD_USER, HPT__SQL_OF_TRIALS("x.trial_id, x.\"key\", x.value_json", "trial_user_attributes", ""))                \
    X(LOAD_SYSTEM, HPT__SQL_OF_TRIALS("x.trial_id, x.\"key\", x.value_json", "trial_system_attributes", ""))            \
    X(LOAD_REPORTS, HPT__SQL_OF_TRIALS("x.trial_id, x.step, x.intermediate_value, x.intermediate_value_type",           \
                                       "trial_intermediate_values", ", x.step"))                                        \
    X(LOAD_VALUES, HPT__SQL_OF_TRIALS("x.trial_id, x.objective, x.value, x.value_type", "trial_values", ""))            \
    X(SCAN_PARAMS, "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params")                     \
    X(SCAN_USER, "SELECT trial_id, \"key\", value_json FROM trial_user_attributes")                                     \
    X(SCAN_SYSTEM, "SELECT trial_id, \"key\", value_json FROM trial_system_attributes")                                 \
    X(SCAN_REPORTS,                                                                                                     \
      "SELECT trial_id, step, intermediate_value, intermediate_value_type FROM trial_intermediate_values")              \
    X(SCAN_VALUES, "SELECT trial_id, objective, value, value_type FROM trial_values")                                   \
    X(COUNT_ALL_TRIALS, "SELECT COUNT(*) FROM trials")                                                                  \
    /* whole studies, in the order in which things were stored */                                                       \
    X(STUDY_USER_ALL,                                                                                                   \
      "SELECT \"key\", value_json FROM study_user_attributes WHERE study_id = ?1 ORDER BY study_user_attribute_id")     \
    X(STUDY_SYSTEM_ALL,                                                                                                 \
      "SELECT \"key\", value_json FROM study_system_attributes WHERE study_id = ?1 ORDER BY study_system_attribute_id") \
    X(RECORD_TRIALS, "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials"                    \
                     " WHERE study_id = ?1 AND trial_id > ?2 ORDER BY trial_id LIMIT ?3")                               \
    X(RECORD_PARAMS, HPT__SQL_OF_TRIALS("x.trial_id, x.param_name, x.param_value, x.distribution_json",                 \
                                        "trial_params", ", x.param_id"))                                                \
    X(RECORD_USER, HPT__SQL_OF_TRIALS("x.trial_id, x.\"key\", x.value_json", "trial_user_attributes",                   \
                                      ", x.trial_user_attribute_id"))                                                   \
    X(RECORD_SYSTEM, HPT__SQL_OF_TRIALS("x.trial_id, x.\"key\", x.value_json", "trial_system_attributes",               \
                                        ", x.trial_system_attribute_id"))                                               \
    X(RECORD_VALUES,                                                                                                    \
      HPT__SQL_OF_TRIALS("x.trial_id, x.objective, x.value, x.value_type", "trial_values", ", x.objective"))            \
    X(HAS_HEARTBEATS, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'trial_heartbeats'")                 \
    X(RECORD_HEARTBEATS, HPT__SQL_OF_TRIALS("x.trial_id, x.heartbeat", "trial_heartbeats", ""))                         \
    X(PARAM_NAMES, HPT__SQL_OF_TRIALS("x.param_name, x.param_id, x.trial_id", "trial_params", ""))                      \
    X(PARAM_DISTRIBUTION, "SELECT distribution_json FROM trial_params WHERE param_id = ?1")

typedef enum hpt__sql {
#define X(name, text) HPT__SQL_##name,
    HPT__SQL_LIST(X)
#undef X
        HPT__SQL_COUNT
} hpt__sql;

#endif
