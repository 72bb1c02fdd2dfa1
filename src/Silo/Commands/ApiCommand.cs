using System.CommandLine;
using System.Globalization;
using System.Text.Json;

namespace CdcOrleans.Silo.Commands;

/// <summary>What the commands that call the API have in common: the options, the output and the exit codes.</summary>
internal static class ApiCommand
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The address of the gateway.</summary>
    public static Option<string> Api { get; } = new("--api")
    {
        Description = "Address of the gateway.", DefaultValueFactory = _ => "http://127.0.0.1:8080", Recursive = true,
    };

    /// <summary>Whether the answer is printed as JSON.</summary>
    public static Option<bool> Json { get; } = new("--json") { Description = "Print the gateway's answer as JSON.", Recursive = true };

    /// <summary>Creates a command that calls the API.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="description">What it does.</param>
    /// <param name="call">Calls the API.</param>
    /// <param name="show">Prints the answer for people.</param>
    /// <param name="symbols">Its arguments and options.</param>
    public static Command Create(
        string name, string description, Func<ApiClient, ParseResult, CancellationToken, Task<JsonElement>> call, Action<JsonElement> show, params Symbol[] symbols)
    {
        var command = new Command(name, description);
        foreach (var symbol in symbols)
        {
            if (symbol is Argument argument)
                command.Arguments.Add(argument);
            else
                command.Options.Add((Option)symbol);
        }

        command.SetAction(async (result, cancellation) =>
        {
            if (!Uri.TryCreate(result.GetValue(Api), UriKind.Absolute, out var api) || (api.Scheme != Uri.UriSchemeHttp && api.Scheme != Uri.UriSchemeHttps))
            {
                await Console.Error.WriteLineAsync($"--api: '{result.GetValue(Api)}' is not an address; write it as http://127.0.0.1:8080.");
                return ExitCode.Refused;
            }

            using var client = new ApiClient(api);
            try
            {
                var answer = await call(client, result, cancellation);
                if (result.GetValue(Json))
                    Console.WriteLine(JsonSerializer.Serialize(answer, Indented));
                else
                    show(answer);
                return HasFailed(answer) ? ExitCode.Failure : ExitCode.Success;
            }
            catch (ApiRefusedException refused)
            {
                await Console.Error.WriteLineAsync(refused.Message);
                return refused.IsRequest ? ExitCode.Refused : ExitCode.Failure;
            }
        });
        return command;
    }

    /// <summary>Prints a table: a line for each item, columns as wide as their widest value.</summary>
    public static void Table(JsonElement items, params (string Title, Func<JsonElement, string> Value)[] columns)
    {
        List<string[]> rows = [[.. columns.Select(c => c.Title)], .. items.EnumerateArray().Select(item => columns.Select(c => OneLine(c.Value(item))).ToArray())];
        var widths = columns.Select((_, i) => rows.Max(r => r[i].Length)).ToArray();
        foreach (var row in rows)
            Console.WriteLine(string.Join("  ", row.Select((cell, i) => i == row.Length - 1 ? cell : cell.PadRight(widths[i]))).TrimEnd());
        if (rows.Count == 1)
            Console.WriteLine("(none)");
    }

    /// <summary>A member of an item as text.</summary>
    public static string Text(JsonElement item, string name) => item.GetProperty(name) is var value && value.ValueKind == JsonValueKind.String
        ? value.GetString()!
        : value.ValueKind == JsonValueKind.Null ? "-" : value.GetRawText();

    /// <summary>A member of an item as a time in UTC.</summary>
    public static string Time(JsonElement item, string name) =>
        item.GetProperty(name).GetDateTimeOffset().UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>Says that there is another page.</summary>
    public static void Next(JsonElement page)
    {
        if (page.GetProperty("next").ValueKind is JsonValueKind.Number or JsonValueKind.String)
            Console.WriteLine($"There is more: --after {page.GetProperty("next")}");
    }

    // A decision that was not carried out for all, or a test that failed.
    private static bool HasFailed(JsonElement answer) =>
        (answer.TryGetProperty("refused", out var refused) && refused.ValueKind == JsonValueKind.Array && refused.GetArrayLength() > 0)
        || (answer.TryGetProperty("ok", out var ok) && ok.ValueKind == JsonValueKind.False);

    /// <summary>A text without control characters, which must not reach the terminal.</summary>
    public static string OneLine(string text) => new([.. text.Select(c => char.IsControl(c) ? ' ' : c)]);
}
