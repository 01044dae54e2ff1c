#pragma once
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

// Swift cannot call variadic functions nor read unions comfortably.

// What libmicrohttpd says while it starts; written only while `isStarting`.
struct skein_mhd_log {
    int isStarting;
    char text[256];
};

struct skein_mhd_options {
    const struct sockaddr *address;
    int isIPv6;
    unsigned int threads;
    unsigned int connectionLimit;
    unsigned int perAddressLimit;
    unsigned int timeoutSeconds;
    size_t connectionMemory;
    // PEM texts, both or neither.
    const char *certificate;
    const char *key;
    void *context;
    struct skein_mhd_log *log;
    MHD_AccessHandlerCallback onAccess;
    MHD_RequestCompletedCallback onCompleted;
    MHD_NotifyConnectionCallback onConnection;
    void *(*onRequestLine)(void *context, const char *target, struct MHD_Connection *connection);
};

static void skein_mhd_write_log(void *context, const char *format, va_list arguments) {
    struct skein_mhd_log *log = (struct skein_mhd_log *)context;
    if (!__atomic_load_n(&log->isStarting, __ATOMIC_ACQUIRE)) return;
    vsnprintf(log->text, sizeof log->text, format, arguments);
}

// NULL when it cannot start: errno and the log say why.
static inline struct MHD_Daemon *skein_mhd_start(const struct skein_mhd_options *options) {
    // Not epoll: libmicrohttpd 0.9.75 uses it edge-triggered and forgets an end of the stream that came together with the last bytes.
    unsigned int flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG;
    if (options->isIPv6) flags |= MHD_USE_IPv6;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}};
    if (options->certificate) {
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key};
    }
    __atomic_store_n(&options->log->isStarting, 1, __ATOMIC_RELEASE);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, options->onAccess, options->context,
        MHD_OPTION_EXTERNAL_LOGGER, skein_mhd_write_log, options->log,
        MHD_OPTION_SOCK_ADDR, options->address,
        MHD_OPTION_CONNECTION_LIMIT, options->connectionLimit,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->perAddressLimit,
        MHD_OPTION_CONNECTION_TIMEOUT, options->timeoutSeconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->connectionMemory,
        MHD_OPTION_NOTIFY_COMPLETED, options->onCompleted, options->context,
        MHD_OPTION_NOTIFY_CONNECTION, options->onConnection, options->context,
        MHD_OPTION_URI_LOG_CALLBACK, options->onRequestLine, options->context,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, tls,
        // One thread serves alone; a pool is two threads and more.
        options->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, options->threads,
        MHD_OPTION_END);
    __atomic_store_n(&options->log->isStarting, 0, __ATOMIC_RELEASE);
    return daemon;
}

static inline unsigned int skein_mhd_port(struct MHD_Daemon *daemon) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

static inline int skein_mhd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

static inline const struct sockaddr *skein_mhd_peer(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}

// What the connection callback has set for the connection.
static inline void *skein_mhd_socket_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

// No time of silence ends the connection.
static inline void skein_mhd_no_timeout(struct MHD_Connection *connection) {
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
}

static inline void skein_mhd_timeout(struct MHD_Connection *connection, unsigned int seconds) {
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

static inline void skein_mhd_close_upgraded(struct MHD_UpgradeResponseHandle *handle) {
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}

static inline int skein_mhd_is_start(enum MHD_ConnectionNotificationCode code) {
    return code == MHD_CONNECTION_NOTIFY_STARTED;
}

static inline void skein_mhd_headers(struct MHD_Connection *connection, MHD_KeyValueIterator visit, void *context) {
    MHD_get_connection_values(connection, MHD_HEADER_KIND, visit, context);
}

static inline void skein_mhd_query(struct MHD_Connection *connection, MHD_KeyValueIterator visit, void *context) {
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, visit, context);
}

// The bytes are copied.
static inline struct MHD_Response *skein_mhd_answer(void *bytes, size_t count) {
    return MHD_create_response_from_buffer(count, bytes, MHD_RESPMEM_MUST_COPY);
}
