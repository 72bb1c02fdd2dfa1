using System.Text.Json;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Model.Storage;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>The endpoints for journals: the history of an entity, and how large the journals are.</summary>
internal static class JournalEndpoints
{
    private const string Suffix = "/history";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        OperationEndpoints.Describe(endpoints.MapGet(EntityAddress.Prefix + "{source}/{table}/{key}" + Suffix, History), "getEntityHistory", "The history of an entity",
            "Changes of an entity from the journal of its table, the newest first, each with what it changed. Slashes in the key must be percent-encoded. "
            + "'since' (included) and 'until' (not included) are a commit time (ISO 8601) or an LSN. A page continues after 'after' and has 'limit' changes, 100 by default and 1000 at most; "
            + "it ends earlier after some megabytes. What is not durable yet is not in it.")
            .WithTags("entities").ProducesProblem(StatusCodes.Status404NotFound).ProducesProblem(StatusCodes.Status409Conflict);
        OperationEndpoints.Describe(endpoints.MapGet("/api/v1/journals", Journals), "getJournals", "All journals", "How large each journal is, and how far it goes back.")
            .WithTags("journals");
    }

    private static async Task<Results<Ok<EntityHistory>, ProblemHttpResult>> History(
        string source, string table, string key, string? after, string? limit, string? since, string? until, HttpContext context, ClusterCalls cluster, GatewaySettings settings)
    {
        var id = EntityAddress.OfPath(context, Suffix) ?? EntityAddress.Of(source, table, key);
        if (settings.Source(id.Source) is not { } known)
            return Problem.UnknownSource(id.Source, settings);
        if (known.Select(id.Key.Table) is not { } selection)
            return Problem.TableNotCaptured(known, id.Key.Table);
        if (selection.Journal is null)
            return Problem.NoJournal(known, id.Key.Table, selection);
        if (EntityEndpoints.Refusal(id.Key) is { } refusal)
            return refusal;
        var (sinceTime, sinceLsn) = WindowText.Bound(since) ?? throw WrongBound("since", since);
        var (untilTime, untilLsn) = WindowText.Bound(until) ?? throw WrongBound("until", until);
        var question = new HistoryQuestion(id, After(after), RequestText.Limit(limit), sinceTime, untilTime, sinceLsn, untilLsn);
        var page = await cluster.Journals($"the history of an entity of {id.Source}.{id.Key.Table}", g => g.GetHistory(question), context.RequestAborted);
        return TypedResults.Ok(new EntityHistory(
            id.Source, id.Key.Table, id.Key.Key, [.. page.Changes.Select(Change)], page is { HasMore: true, Changes: [.., var last] } ? last.Position : null));
    }

    private static async Task<Ok<JournalList>> Journals(ClusterCalls cluster, CancellationToken cancellation)
    {
        var journals = await cluster.Journals("the journals", g => g.ListJournals(), cancellation);
        return TypedResults.Ok(new JournalList([.. journals.Select(j => new JournalItem(j.Source, j.Table, j.Segments, j.Bytes, j.Oldest))]));
    }

    private static EntityChange Change(HistoryEntry entry) => new(
        entry.Version.ToString(), entry.Version.CommitLsn.ToString(), entry.CommittedAt, entry.Xid, entry.Operation.ToString().ToLowerInvariant(), entry.SchemaVersion,
        Element(entry.Row), entry.Differences is null ? null : [.. entry.Differences.Select(d => new EntityDifference(d.Column, Element(d.Before), Element(d.After)))],
        entry.OtherKey, Reporting.Absence(entry.RowAbsence));

    private static JsonElement? Element(string? json) => json is null ? null : JsonElement.Parse(json);

    private static string? After(string? value)
    {
        try
        {
            return value is null ? null : JournalPosition.Parse(value).ToString();
        }
        catch (FormatException)
        {
            throw new RefusedRequestException(Problem.BadParameter("after", $"'{RequestText.Short(value!)}' is not a position. Write the 'next' of the page before."));
        }
    }

    private static RefusedRequestException WrongBound(string name, string? value) => new(Problem.BadParameter(name, $"{WindowText.Wrong(value!)} Write '+' as %2B."));
}
