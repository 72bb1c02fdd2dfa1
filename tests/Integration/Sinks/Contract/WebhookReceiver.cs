using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using CdcOrleans.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using StandardWebhooks;

namespace CdcOrleans.Integration.Sinks.Contract;

/// <summary>A server that receives webhooks. It checks the signature of every request as a receiver does, with the library for that.</summary>
internal sealed class WebhookReceiver : IAsyncDisposable
{
    public const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private readonly int _port = PostgresServer.FreePort();
    private readonly ConcurrentQueue<Got> _got = new();
    private WebApplication? _server;

    /// <summary>What is done with a request; it returns the status. Default: events are kept, and the answer is 200, or 422 for a poisonous one.</summary>
    public Func<HttpContext, byte[], Task<int>> Handle { get; set; }

    public WebhookReceiver() => Handle = (_, body) => Task.FromResult(Keep(body));

    public string Url => $"http://127.0.0.1:{_port}/hook";

    /// <summary>Requests so far.</summary>
    public int Requests => _requests;

    /// <summary>Requests whose signature was not right.</summary>
    public int Forged => _forged;

    public IReadOnlyList<Got> Got => [.. _got];

    private int _requests;
    private int _forged;

    public async Task Start()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{_port}").ConfigureKestrel(k => k.Limits.MaxRequestBodySize = null);
        _server = builder.Build();
        _server.Run(async context =>
        {
            Interlocked.Increment(ref _requests);
            using var copy = new MemoryStream();
            await context.Request.Body.CopyToAsync(copy, context.RequestAborted);
            var body = copy.ToArray();
            try
            {
                new StandardWebhook(Secret).Verify(Encoding.UTF8.GetString(body), context.Request.Headers);
            }
#pragma warning disable CA1031 // The test sees it in the count.
            catch (Exception)
#pragma warning restore CA1031
            {
                Interlocked.Increment(ref _forged);
            }

            var status = await Handle(context, body);
            if (!context.Response.HasStarted)
                context.Response.StatusCode = status;
        });
        await _server.StartAsync();
    }

    public async Task Stop()
    {
        if (_server is null)
            return;
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await _server.StopAsync(now.Token);
        await _server.DisposeAsync();
        _server = null;
    }

    /// <summary>Keeps the events of a request, unless one of them is poisonous.</summary>
    public int Keep(byte[] body)
    {
        using var parsed = JsonDocument.Parse(body);
        var values = parsed.RootElement.ValueKind == JsonValueKind.Array
            ? [.. parsed.RootElement.EnumerateArray().Select(e => e.GetProperty("value"))]
            : new List<JsonElement> { parsed.RootElement };
        if (values.Exists(v => v.ValueKind == JsonValueKind.Object && v.TryGetProperty("poison", out _)))
            return 422;
        foreach (var value in values.Where(v => v.ValueKind == JsonValueKind.Object))
            _got.Enqueue(Contract.Got.Of(Encoding.UTF8.GetBytes(value.GetRawText())));
        return 200;
    }

    public async ValueTask DisposeAsync() => await Stop();
}
