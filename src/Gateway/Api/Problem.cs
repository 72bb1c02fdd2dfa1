using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Model.Configuration;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.WebUtilities;

namespace CdcOrleans.Gateway.Api;

/// <summary>The errors of the API, as RFC 9457 problem documents.</summary>
internal static class Problem
{
    private const string TypePrefix = "urn:cdcorleans:problem:";

    public static ProblemHttpResult UnknownSource(string name, GatewaySettings settings)
    {
        var known = settings.Sources.Select(s => s.Name).ToArray();
        return Of(StatusCodes.Status404NotFound, "unknown-source", "Unknown source",
            $"There is no source '{name}'; the cluster '{settings.ClusterId}' has {string.Join(", ", known.Select(k => $"'{k}'"))}.",
            ("sources", known));
    }

    public static ProblemHttpResult TableNotHeld(SourceConfiguration source, string table, TableSelection? selection) =>
        Of(StatusCodes.Status404NotFound, "table-not-held", "Table without entities", selection is null
            ? $"Source '{source.Name}' does not capture a table '{table}'. Write it as schema.table; its tables are "
              + $"{string.Join(", ", source.Tables.Select(t => $"'{t.Pattern}'"))}."
            : $"No entities of the table '{table}' of source '{source.Name}' are stored, because of its option 'entities: off' ('{selection.Pattern}').");

    public static ProblemHttpResult TableNotCaptured(SourceConfiguration source, string table) => TableNotHeld(source, table, null);

    public static ProblemHttpResult NoJournal(SourceConfiguration source, string table, TableSelection selection) =>
        Of(StatusCodes.Status409Conflict, "no-journal", "Table without a journal",
            $"The table '{table}' of source '{source.Name}' has no journal, so nothing is known of its earlier changes. To keep its changes from now on, "
            + $"give the table the option 'journal: {{ age: 7d, size: 10GB }}' in cdc.yaml ('{selection.Pattern}') and restart the silos.");

    public static ProblemHttpResult UnknownEntity(string source, string table) =>
        Of(StatusCodes.Status404NotFound, "unknown-entity", "Unknown entity",
            $"Nothing is known of an entity with that key in {source}.{table}. It has not changed since capture began, or the key is not "
            + "written in canonical text: the key columns' values in PostgreSQL's text form, in the key's order, joined by commas.");

    public static ProblemHttpResult BadKey(string reason) =>
        Of(StatusCodes.Status400BadRequest, "bad-key", "Not a key", reason);

    public static ProblemHttpResult BadParameter(string name, string reason) =>
        Of(StatusCodes.Status400BadRequest, "bad-parameter", "Parameter not allowed", $"The parameter '{name}': {reason}", ("parameter", name));

    public static ProblemHttpResult BadBody(string reason) =>
        Of(StatusCodes.Status400BadRequest, "bad-body", "Body not allowed", $"The request's body: {reason}");

    public static ProblemHttpResult NotJson(string? type) =>
        Of(StatusCodes.Status415UnsupportedMediaType, "not-json", "Not JSON",
            $"The request's body is of the type '{(type is { Length: > 80 } ? type[..80] : type)}'. Send JSON, with the header Content-Type: application/json.");

    public static ProblemHttpResult UnknownLetter(long id) =>
        Of(StatusCodes.Status404NotFound, "unknown-dead-letter", "Unknown dead letter",
            $"There is no dead letter {id}. It may have been delivered or discarded; GET /api/v1/dead-letters lists those that there are.");

    public static ProblemHttpResult UnknownGroup(string fingerprint) =>
        Of(StatusCodes.Status404NotFound, "unknown-group", "Unknown group",
            $"There is no dead letter with the fingerprint '{(fingerprint.Length > 80 ? fingerprint[..80] : fingerprint)}'; GET /api/v1/dead-letters/groups lists the groups that there are.");

    public static ProblemHttpResult UnknownSink(string name, IReadOnlyCollection<string> known) =>
        Of(StatusCodes.Status404NotFound, "unknown-sink", "Unknown sink",
            $"There is no sink '{(name.Length > 80 ? name[..80] : name)}'; there are {string.Join(", ", known.Select(k => $"'{k}'"))}.", ("sinks", known.ToArray()));

    public static ProblemHttpResult UnknownReplay(long id) =>
        Of(StatusCodes.Status404NotFound, "unknown-replay", "Unknown replay", $"There is no replay {id}; GET /api/v1/replays lists those that there are.");

    public static ProblemHttpResult RefusedReplay(ReplayRefusal refusal, string reason) => refusal switch
    {
        ReplayRefusal.UnknownTable => Of(StatusCodes.Status404NotFound, "unknown-table", "Unknown table", reason),
        ReplayRefusal.Conflict => Of(StatusCodes.Status409Conflict, "replay-conflict", "Another replay is under way", reason),
        _ => Of(StatusCodes.Status400BadRequest, "not-replayable", "Table cannot be replayed", reason),
    };

    public static ProblemHttpResult ReplayState(string reason) =>
        Of(StatusCodes.Status409Conflict, "replay-state", "Replay is in another state", reason);

    public static ProblemHttpResult UnknownBackfill(long id) =>
        Of(StatusCodes.Status404NotFound, "unknown-backfill", "Unknown backfill", $"There is no backfill {id}; GET /api/v1/backfills lists those that there are.");

    public static ProblemHttpResult RefusedBackfill(BackfillRefusal refusal, string reason) => refusal switch
    {
        BackfillRefusal.UnknownTable => Of(StatusCodes.Status404NotFound, "unknown-table", "Unknown table", reason),
        BackfillRefusal.Conflict => Of(StatusCodes.Status409Conflict, "backfill-conflict", "Another backfill is under way", reason),
        BackfillRefusal.SourceUnavailable => Of(StatusCodes.Status503ServiceUnavailable, "source-unavailable", "Source does not answer", reason),
        _ => Of(StatusCodes.Status400BadRequest, "backfill-not-possible", "Rows cannot be read", reason),
    };

    public static ProblemHttpResult BackfillState(string reason) =>
        Of(StatusCodes.Status409Conflict, "backfill-state", "Backfill is in another state", reason);

    public static ProblemHttpResult HostNotAllowed(string host) =>
        Of(StatusCodes.Status400BadRequest, "host-not-allowed", "Host not allowed", host.Length == 0
            ? "The request names no host; this gateway answers to localhost, 127.0.0.1 and [::1] only."
            : $"This gateway answers to localhost, 127.0.0.1 and [::1] only, not to '{host}'. Call it by one of these names.");

    public static ProblemHttpResult NotReady(IReadOnlyList<SourceReadiness> sources)
    {
        var waiting = sources.Where(s => !s.Ready).Select(s => $"'{s.Name}' ({s.Detail ?? s.State.ToString().ToLowerInvariant()})");
        return Of(StatusCodes.Status503ServiceUnavailable, "not-ready", "Not ready",
            $"Not every source is streaming: {string.Join("; ", waiting)}", ("sources", sources));
    }

    public static ProblemHttpResult OfTrouble(ClusterTroubleException trouble) => trouble.Trouble switch
    {
        ClusterTrouble.Unreachable =>
            Of(StatusCodes.Status503ServiceUnavailable, "cluster-unreachable", "Cluster unreachable", trouble.Message),
        ClusterTrouble.TimedOut =>
            Of(StatusCodes.Status504GatewayTimeout, "cluster-timeout", "No answer in time", trouble.Message),
        ClusterTrouble.Busy =>
            Of(StatusCodes.Status503ServiceUnavailable, "control-database-busy", "Control database busy", trouble.Message),
        _ => Of(StatusCodes.Status502BadGateway, "cluster-failed", "The cluster answered with an error", trouble.Message),
    };

    /// <summary>An error that no endpoint explained: unknown path, wrong method, or an internal error.</summary>
    public static ProblemHttpResult OfStatus(HttpContext context)
    {
        var status = context.Response.StatusCode;
        var (name, detail) = status switch
        {
            StatusCodes.Status404NotFound => ("not-found", "There is nothing at this path; /openapi/v1.json lists all paths."),
            StatusCodes.Status405MethodNotAllowed => ("method-not-allowed", "This path does not answer this method; /openapi/v1.json lists the methods."),
            >= StatusCodes.Status500InternalServerError => ("internal-error", "An internal error of the gateway; its log has the cause."),
            StatusCodes.Status413PayloadTooLarge => ("too-large", "The request's body is larger than 64 KiB. Send less in each request."),
            _ => ("bad-request", "The request cannot be understood; /openapi/v1.json describes the API."),
        };
        return Of(status, name, ReasonPhrases.GetReasonPhrase(status), detail);
    }

    private static ProblemHttpResult Of(int status, string type, string title, string detail, params (string Name, object Value)[] more) =>
        TypedResults.Problem(detail, null, status, title, TypePrefix + type, more.ToDictionary(m => m.Name, m => (object?)m.Value));
}
