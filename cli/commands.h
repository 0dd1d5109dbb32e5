/* Every command of the program, and the options that several of them share. */
#ifndef SKY_CLI_COMMANDS_H
#define SKY_CLI_COMMANDS_H

#include "cli/cli.h"

extern const cli_command cli_run_command, cli_check_command, cli_jobs_command, cli_eval_command;
extern const cli_command cli_results_command, cli_front_command, cli_sweeps_command;
extern const cli_command cli_networks_command, cli_trace_command;
extern const cli_command cli_failures_command, cli_sql_command;
extern const cli_command cli_tag_command, cli_delete_command, cli_merge_command, cli_backup_command;
extern const cli_command cli_verify_command;
extern const cli_command cli_coordinator_command, cli_worker_command, cli_executor_command;
extern const cli_command cli_submit_command, cli_status_command, cli_pause_command;
extern const cli_command cli_resume_command, cli_cancel_command, cli_retry_command;
extern const cli_command cli_priority_command, cli_shutdown_command, cli_keys_command;
extern const cli_command cli_dash_command;

#define CLI_GROUP_RUN     "Run here"
#define CLI_GROUP_LOOK    "Look at results"
#define CLI_GROUP_STORE   "Keep results"
#define CLI_GROUP_CLUSTER "Run on several machines"

#define CLI_OPT_DB                                                                                 \
    {                                                                                              \
        .name = "db", .type = CLI_FILE, .arg = "FILE", .def = "skyline.db", .env = "SKYLINE_DB",   \
        .doc = "The store, an SQLite file."                                                        \
    }
#define CLI_OPT_SET                                                                                \
    {                                                                                              \
        .name = "set", .type = CLI_TEXT, .arg = "KEY=VALUE", .many = true,                         \
        .doc =                                                                                     \
            "Change a key of the sweep file: an axis (array=64, array=[64,128]) or a dotted path " \
            "(limits.timeout=5m)."                                                                 \
    }
#define CLI_OPT_NAME                                                                               \
    {                                                                                              \
        .name = "name", .type = CLI_TEXT, .arg = "NAME",                                           \
        .doc = "Use this name instead of the file's, as when its space was changed."               \
    }
#define CLI_OPT_PLUGIN                                                                             \
    {                                                                                              \
        .name = "plugin", .type = CLI_FILE, .arg = "FILE", .many = true,                           \
        .doc = "Load the jobs of a plug-in (.so)."                                                 \
    }
#define CLI_OPT_JSON                                                                               \
    {                                                                                              \
        .name = "json", .doc = "Print JSON."                                                       \
    }
#define CLI_OPT_KEYS                                                                               \
    {                                                                                              \
        .name = "keys", .type = CLI_FOLDER, .arg = "DIR",                                          \
        .doc = "The folder of keys. Default: $SKYLINE_KEYS, else ~/.config/skyline/keys."          \
    }
#define CLI_DEFAULT_ENDPOINT "tcp://127.0.0.1:7733"
#define CLI_OPT_TIMEOUT                                                                            \
    {                                                                                              \
        .name = "timeout", .type = CLI_DURATION, .arg = "TIME", .def = "10s",                      \
        .doc = "How long to wait for the coordinator's answer.",                                   \
    }
#define CLI_OPT_CONNECT                                                                            \
    {                                                                                              \
        .name = "connect", .type = CLI_TEXT, .arg = "ENDPOINT", .def = CLI_DEFAULT_ENDPOINT,       \
        .env = "SKYLINE_CONNECT", .doc = "Where the coordinator is."                               \
    }

#endif
