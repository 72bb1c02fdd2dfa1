using System.Globalization;
using System.Text;
using System.Text.Json;

namespace CdcOrleans.Silo.Commands;

/// <summary>Calls the API of a gateway for the command line.</summary>
internal sealed class ApiClient : IDisposable
{
    private readonly HttpClient _http;

    /// <param name="api">Address of the gateway.</param>
    public ApiClient(Uri api) => _http = new HttpClient { BaseAddress = api, Timeout = TimeSpan.FromSeconds(60) };

    /// <summary>Reads something.</summary>
    /// <exception cref="ApiRefusedException">The gateway answered with an error, or did not answer.</exception>
    public Task<JsonElement> Get(string path, CancellationToken cancellation) => Send(new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative)), cancellation);

    /// <summary>Changes something.</summary>
    /// <exception cref="ApiRefusedException">The gateway answered with an error, or did not answer.</exception>
    public Task<JsonElement> Post(string path, Dictionary<string, object?> body, CancellationToken cancellation) => Send(
        new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Content = JsonContent.Create(body) }, cancellation);

    /// <summary>Returns a path with those parameters that have a value.</summary>
    public static string Path(string path, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var text = new StringBuilder(path);
        var separator = '?';
        foreach (var (name, value) in parameters)
        {
            if (value is null)
                continue;
            text.Append(separator).Append(name).Append('=').Append(Uri.EscapeDataString(Convert.ToString(value, CultureInfo.InvariantCulture)!));
            separator = '&';
        }

        return text.ToString();
    }

    /// <summary>Returns the path of an entity.</summary>
    public static string Entity(string source, string table, string key) =>
        $"/api/v1/entities/{Uri.EscapeDataString(source)}/{Uri.EscapeDataString(table)}/{Uri.EscapeDataString(key)}";

    /// <inheritdoc />
    public void Dispose() => _http.Dispose();

    private async Task<JsonElement> Send(HttpRequestMessage request, CancellationToken cancellation)
    {
        using (request)
        {
            try
            {
                using var response = await _http.SendAsync(request, cancellation);
                var text = await response.Content.ReadAsStringAsync(cancellation);
                if (response.IsSuccessStatusCode)
                    return JsonElement.Parse(text);
                throw new ApiRefusedException(Detail(text) ?? $"{_http.BaseAddress} answered with status {(int)response.StatusCode}.", isRequest: (int)response.StatusCode < 500);
            }
            catch (HttpRequestException unreachable)
            {
                throw new ApiRefusedException(
                    $"No gateway answers at {_http.BaseAddress}: {unreachable.Message}. Start one, or name its address with --api (gateway.listen in cdc.yaml).", isRequest: false);
            }
            catch (TaskCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new ApiRefusedException($"The gateway at {_http.BaseAddress} did not answer within {_http.Timeout.TotalSeconds:0} s.", isRequest: false);
            }
            catch (JsonException)
            {
                throw new ApiRefusedException($"What answers at {_http.BaseAddress} is not a gateway: its answer is not JSON.", isRequest: false);
            }
        }
    }

    private static string? Detail(string text)
    {
        try
        {
            return JsonElement.Parse(text) is { ValueKind: JsonValueKind.Object } problem && problem.TryGetProperty("detail", out var detail) ? detail.GetString() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>The gateway refused a request or did not answer. The message is for people.</summary>
internal sealed class ApiRefusedException(string message, bool isRequest) : Exception(message)
{
    /// <summary>Whether the request was refused; false when the gateway or the cluster has a problem.</summary>
    public bool IsRequest { get; } = isRequest;
}
