using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>A request that cannot be understood, with its answer.</summary>
internal sealed class RefusedRequestException(ProblemHttpResult problem) : Exception(problem.ProblemDetails.Detail)
{
    /// <summary>The answer.</summary>
    public ProblemHttpResult Problem { get; } = problem;
}

/// <summary>Reads the parameters and bodies of requests. What is wrong is answered with the name, the value and the remedy.</summary>
internal static class RequestText
{
    /// <summary>Most items of a page.</summary>
    public const int MostItems = 1000;

    private const int MostPatterns = 100;

    /// <summary>The filter of a list.</summary>
    /// <exception cref="RefusedRequestException">A value is not allowed.</exception>
    public static LetterFilter Filter(string? sink, string? source, string? table, string? key, string? fingerprint = null) => new()
    {
        Sink = Text("sink", sink),
        Source = Text("source", source),
        Table = Text("table", table),
        Key = Text("key", key),
        Fingerprint = Text("fingerprint", fingerprint),
    };

    /// <summary>Returns a text as it is.</summary>
    /// <exception cref="RefusedRequestException">It has a character that no text in PostgreSQL contains.</exception>
    public static string? Text(string name, string? value)
    {
        if (value is null)
            return null;
        for (var i = 0; i < value.Length; i++)
        {
            if (value[i] == '\0')
                throw new RefusedRequestException(Problem.BadParameter(name, "It has the character U+0000 (%00), which no text in PostgreSQL contains. Leave it out."));
            if (!char.IsSurrogate(value[i]))
                continue;
            if (!char.IsHighSurrogate(value[i]) || i + 1 == value.Length || !char.IsLowSurrogate(value[++i]))
                throw new RefusedRequestException(Problem.BadParameter(name, "It has half of a surrogate pair, which is no text. Leave it out."));
        }

        return value;
    }

    /// <summary>Returns texts as they are.</summary>
    /// <exception cref="RefusedRequestException">One has a character that no text in PostgreSQL contains.</exception>
    public static string[] Texts(string name, IEnumerable<string> values) => [.. values.Select(v => Text(name, v)!)];

    /// <summary>Says what is wrong with the tables of a body; null when they can be asked for.</summary>
    public static string? WrongTables(IReadOnlyList<string>? tables) =>
        tables is not { Count: >= 1 and <= MostPatterns } || tables.Any(string.IsNullOrEmpty)
            ? $"It must have 'tables': from 1 to {MostPatterns} tables, each as schema.table; '*' stands for any text."
            : null;

    /// <summary>Says what is wrong with the keys of a body; null when they can be asked for, or when there are none.</summary>
    /// <param name="keys">The keys.</param>
    /// <param name="tables">The tables of the body.</param>
    /// <param name="most">Most keys.</param>
    public static string? WrongKeys(IReadOnlyList<string>? keys, IReadOnlyList<string> tables, int most)
    {
        if (keys is null)
            return null;
        if (keys.Count == 0 || keys.Count > most)
            return $"'keys' has {keys.Count} keys; from 1 to {most} are allowed. Leave 'keys' out for all rows.";
        if (tables is not [var table] || table.Contains('*', StringComparison.Ordinal))
            return "'keys' is given with several tables. A key belongs to one table: write one table in 'tables', without '*'.";
        foreach (var key in keys)
        {
            try
            {
                EntityKeyText.Split(key ?? throw new FormatException("null"));
            }
            catch (FormatException)
            {
                return "'keys' has a text that is no key. Write the key columns' values in PostgreSQL's text form, in the key's order, joined by commas.";
            }
        }

        return null;
    }

    /// <summary>The number after which a page begins; 0 for the first page.</summary>
    /// <exception cref="RefusedRequestException">It is no such number.</exception>
    public static long After(string? value) => value is null
        ? 0
        : long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var after)
            ? after
            : throw new RefusedRequestException(Problem.BadParameter("after", $"'{Short(value)}' is not an id. Write the 'next' of the page before, a whole number from 0."));

    /// <summary>The size of a page; 100 by default.</summary>
    /// <exception cref="RefusedRequestException">It is not from 1 to 1000.</exception>
    public static int Limit(string? value) => value is null
        ? 100
        : int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit is >= 1 and <= MostItems
            ? limit
            : throw new RefusedRequestException(Problem.BadParameter("limit", $"'{Short(value)}' is not a whole number from 1 to {MostItems}."));

    /// <summary>An id in a path.</summary>
    /// <exception cref="RefusedRequestException">It is no id.</exception>
    public static long Id(string value) => long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
        ? id
        : throw new RefusedRequestException(Problem.BadParameter("id", $"'{Short(value)}' is not an id. Write the 'id' of the list, a whole number."));

    /// <summary>Reads a body.</summary>
    /// <exception cref="RefusedRequestException">It is not JSON of the expected form.</exception>
    public static async Task<T> Body<T>(HttpContext context, JsonTypeInfo<T> type)
        where T : class
    {
        // A page of another origin cannot send this content type without being asked first (CORS), and nobody answers then.
        if (!context.Request.HasJsonContentType())
            throw new RefusedRequestException(Problem.NotJson(context.Request.ContentType));
        try
        {
            return await JsonSerializer.DeserializeAsync(context.Request.Body, type, context.RequestAborted)
                ?? throw new RefusedRequestException(Problem.BadBody("It is null. Write a JSON object."));
        }
        catch (JsonException e)
        {
            throw new RefusedRequestException(Problem.BadBody(
                $"It is not the JSON that is expected, at '{Short(e.Path ?? "$")}', line {(e.LineNumber ?? 0) + 1}. /openapi/v1.json describes it."));
        }
    }

    /// <summary>Reads the body of a request that has no arguments: nothing, or a JSON object without members.</summary>
    /// <exception cref="RefusedRequestException">It is not sent as JSON, or has members.</exception>
    public static async Task NoBody(HttpContext context)
    {
        if (!context.Request.HasJsonContentType())
            throw new RefusedRequestException(Problem.NotJson(context.Request.ContentType));
        using var reader = new StreamReader(context.Request.Body);
        var text = await reader.ReadToEndAsync(context.RequestAborted);
        if (text.Trim() is not ("" or "{}"))
            throw new RefusedRequestException(Problem.BadBody("It must be empty, or '{}': this request has no arguments."));
    }

    /// <summary>The beginning of a text, for a message.</summary>
    public static string Short(string text) => text.Length <= 80 ? text : string.Concat(text.AsSpan(0, 80), "…");
}
