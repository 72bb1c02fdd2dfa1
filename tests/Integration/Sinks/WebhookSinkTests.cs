using System.Net;
using System.Net.Sockets;
using System.Text;
using CdcOrleans.Integration.Sinks.Contract;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Webhook;
using CdcOrleans.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using StandardWebhooks;
using Xunit;

namespace CdcOrleans.Integration.Sinks;

/// <summary>What receivers do, and should not.</summary>
public sealed class WebhookSinkTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly WebhookReceiver _receiver = new();
    private readonly List<WebhookSink> _sinks = [];

    [Fact]
    public async Task A_request_has_the_body_the_key_and_the_signatures_of_all_secrets()
    {
        const string second = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        var seen = new TaskCompletionSource<(IHeaderDictionary Headers, string Body, string Path)>();
        _receiver.Handle = (context, body) =>
        {
            seen.SetResult((new HeaderDictionary(context.Request.Headers.ToDictionary()), Encoding.UTF8.GetString(body), context.Request.Path + context.Request.QueryString.Value));
            return Task.FromResult(204);
        };
        var address = new Uri(_receiver.Url);
        var sink = Open(c => c with { Url = $"http://me:pass%3Aword@{address.Authority}/cdc/{{source}}/{{table}}?token=1", Secrets = [WebhookReceiver.Secret, second] });
        var single = Event(1);
        await Deliver(sink, single);

        Assert.Null(single.Failure);
        var (headers, body, path) = await seen.Task;
        Assert.Equal("/cdc/shop/public.t?token=1", path);
        Assert.Equal("{\"row\":\"r1\",\"n\":1}", body);
        Assert.Equal("shop:0/100:1", headers["webhook-id"]);
        Assert.Equal("{\"row\":\"r1\"}", headers["cdc-key"]);
        Assert.Equal("application/json", headers.ContentType);
        Assert.Equal("Basic " + Convert.ToBase64String("me:pass:word"u8), headers.Authorization);
        var signatures = headers["webhook-signature"].ToString().Split(' ');
        Assert.Equal(2, signatures.Length);
        foreach (var (secret, signature) in new[] { (WebhookReceiver.Secret, signatures[0]), (second, signatures[1]) })
        {
            headers["webhook-signature"] = signature;
            new StandardWebhook(secret).Verify(body, headers);
        }
    }

    [Theory]
    [InlineData(200, null)]
    [InlineData(202, null)]
    [InlineData(400, true)]
    [InlineData(404, true)]
    [InlineData(413, true)]
    [InlineData(422, true)]
    [InlineData(409, false)]
    [InlineData(408, false)]
    [InlineData(425, false)]
    [InlineData(429, false)]
    [InlineData(500, false)]
    [InlineData(503, false)]
    [InlineData(599, false)]
    public async Task A_status_has_its_outcome(int status, bool? isFinal)
    {
        _receiver.Handle = (_, _) => Task.FromResult(status);
        var sink = Open(c => c with { Url = c.Url + "?token=secret", RetryStatuses = [409] });
        var single = Event(1);
        await Deliver(sink, single);
        Assert.Equal(isFinal, single.Failure?.IsFinal);
        if (single.Failure is not { } failure)
            return;
        Assert.Contains($"{_receiver.Url} answered {status} ", failure.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", failure.Error, StringComparison.Ordinal);
        if (status == 425)
            Assert.Equal(FailureScope.Event, failure.Scope);
        else if (isFinal == false)
            Assert.Equal((FailureScope.Destination, ((ISink)sink).DestinationOf(single)), (failure.Scope, failure.Destination));
        Assert.Equal(isFinal != false || status == 425, sink.Status.Healthy);
    }

    [Theory]
    [InlineData("7", 7, 7)]
    [InlineData("1000000000", 600, 600)]
    [InlineData("date", 27, 30)]
    [InlineData("-5", null, null)]
    [InlineData("99999999999999999999", null, null)]
    [InlineData("soon", null, null)]
    public async Task Retry_after_is_followed_within_bounds(string value, int? least, int? most)
    {
        _receiver.Handle = (context, _) =>
        {
            context.Response.Headers.RetryAfter = value == "date" ? DateTimeOffset.UtcNow.AddSeconds(30).ToString("R") : value;
            return Task.FromResult(429);
        };
        var sink = Open();
        var (first, second) = (Event(1), Event(2));
        await Deliver(sink, first);
        await Deliver(sink, second);
        var asked = first.Failure!.RetryAfter;
        Assert.Equal(least is null, asked is null);
        if (asked is not null)
        {
            Assert.InRange(asked.Value.TotalSeconds, least!.Value - 0.01, most!.Value);
            Assert.InRange(second.Failure!.RetryAfter!.Value.TotalSeconds, least.Value - 10, most.Value);
        }

        // While the receiver wants a pause, it gets no request.
        Assert.Equal(least is null ? 2 : 1, _receiver.Requests);
    }

    [Fact]
    public async Task An_answer_after_the_time_out_does_not_count()
    {
        var late = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _receiver.Handle = async (_, _) =>
        {
            await late.Task;
            return 200;
        };
        var single = Event(1);
        var sink = Open(c => c with { Timeout = TimeSpan.FromMilliseconds(300) });
        await Deliver(sink, single);
        late.SetResult();
        Assert.True(single.Failure is { IsFinal: false, Scope: FailureScope.Destination });
        Assert.Contains("within 0.3 s", single.Failure.Error, StringComparison.Ordinal);
        Assert.True(sink.Status is { Delivered: 0, Failed: 1, Healthy: false });
    }

    [Theory]
    [InlineData(200)]
    [InlineData(503)]
    public async Task A_huge_answer_is_not_read(int status)
    {
        long written = 0;
        using var server = new Server(async stream =>
        {
            await stream.ReadExactlyAsync(new byte[20]);
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} Status\r\nContent-Length: {1L << 30}\r\n\r\n"));
            var block = new byte[1 << 20];

            // Far more than the buffers of the sockets take.
            for (var i = 0; i < 256; i++)
            {
                await stream.WriteAsync(block);
                Interlocked.Add(ref written, block.Length);
            }
        });
        var before = GC.GetTotalAllocatedBytes(precise: true);
        var sink = Open(c => c with { Url = server.Url });
        for (var i = 0; i < 5; i++)
        {
            var single = Event(i);
            await Deliver(sink, single);
            Assert.Equal(status == 200, single.Failure is null);
        }

        Assert.True(Volatile.Read(ref written) < 5L * (64 << 20), $"{written} bytes were taken.");
        Assert.True(GC.GetTotalAllocatedBytes(precise: true) - before < 100 << 20, "The body was kept.");
    }

    [Theory]
    [InlineData("SSH-2.0-OpenSSH_9.2p1\r\n")]
    [InlineData("HTTP/1.1 abc\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nbroken\0header\r\n\r\n")]
    [InlineData("")]
    public async Task Garbage_fails_for_now(string answer)
    {
        using var server = new Server(async stream =>
        {
            await stream.ReadExactlyAsync(new byte[20]);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(answer));
        });
        var single = Event(1);
        await Deliver(Open(c => c with { Url = server.Url }), single);
        Assert.True(single.Failure is { IsFinal: false, Scope: FailureScope.Destination });
    }

    [Fact]
    public async Task Endless_headers_fail_for_now()
    {
        using var server = new Server(async stream =>
        {
            await stream.ReadExactlyAsync(new byte[20]);
            await stream.WriteAsync("HTTP/1.1 200 OK\r\n"u8.ToArray());
            for (var i = 0; i < 100_000; i++)
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"x{i}: {new string('y', 1000)}\r\n"));
        });
        var single = Event(1);
        await Deliver(Open(c => c with { Url = server.Url }), single);
        Assert.True(single.Failure is { IsFinal: false, Scope: FailureScope.Destination });
        Assert.Contains("headers that are too long", single.Failure.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task A_redirect_is_not_followed(int status)
    {
        var inner = new Server(_ => Task.CompletedTask);
        using (inner)
        {
            _receiver.Handle = (context, _) =>
            {
                context.Response.Headers.Location = inner.Url;
                return Task.FromResult(status);
            };
            var single = Event(1);
            await Deliver(Open(), single);
            Assert.True(single.Failure is { IsFinal: false, Scope: FailureScope.Destination });
            Assert.Contains("Redirects are not followed", single.Failure.Error, StringComparison.Ordinal);
            Assert.Equal(0, inner.Connections);
        }
    }

    [Theory]
    [InlineData("http://127.0.0.1", null)]
    [InlineData("http://[::1]", null)]
    [InlineData("http://2130706433", null)]
    [InlineData("http://0x7f.1", null)]
    [InlineData("http://localhost", null)]
    [InlineData("http://hooks.example.com", "127.0.0.1")]
    [InlineData("http://hooks.example.com", "::ffff:127.0.0.1")]
    [InlineData("http://hooks.example.com", "169.254.169.254")]
    [InlineData("http://hooks.example.com", "10.0.0.1,192.168.0.1,fd00::1")]
    public async Task Private_addresses_get_nothing_also_behind_a_name(string host, string? resolved)
    {
        var port = new Uri(_receiver.Url).Port;
        var sink = Open(c => c with { Url = $"{host}:{port}/hook", AllowPrivate = false }, resolved);
        var single = Event(1);
        await Deliver(sink, single);
        Assert.True(single.Failure is { IsFinal: false, Scope: FailureScope.Destination });
        Assert.Contains("private_addresses", single.Failure.Error, StringComparison.Ordinal);
        Assert.Contains("private_addresses", await sink.Test(Patience, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal(0, _receiver.Requests);
    }

    [Fact]
    public async Task A_test_connects_with_tls_where_the_url_says_so_and_shows_no_secret_of_the_url()
    {
        var plain = Open(c => c with { Url = c.Url.Replace("http://", "http://me:secret@", StringComparison.Ordinal) + "/{topic}?token=secret" });
        Assert.Null(await plain.Test(Patience, TestContext.Current.CancellationToken));
        var secure = Open(c => c with { Url = c.Url.Replace("http://", "https://me:secret@", StringComparison.Ordinal) + "/{topic}?token=secret" });
        var error = await secure.Test(Patience, TestContext.Current.CancellationToken);
        Assert.StartsWith("TLS with https://127.0.0.1:", error, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", error, StringComparison.Ordinal);
        using var mute = new Server(_ => Task.Delay(Patience));
        var hanging = Open(c => c with { Url = mute.Url.Replace("http:", "https:", StringComparison.Ordinal) });
        Assert.Contains("within 0.3 s", await hanging.Test(TimeSpan.FromMilliseconds(300), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal(0, _receiver.Requests);
    }

    [Fact]
    public async Task What_a_name_resolves_to_is_checked_and_not_asked_for_again()
    {
        // The resolver says something else every time, as an attacker's does.
        var asked = 0;
        var sink = new WebhookSink(
            Configuration with { Url = "http://hooks.example.com:9/hook", AllowPrivate = false, ConnectTimeout = TimeSpan.FromMilliseconds(300) },
            TimeProvider.System,
            NullLogger.Instance,
            (_, _) => Task.FromResult(new[] { IPAddress.Parse(Interlocked.Increment(ref asked) == 1 ? "10.0.0.1" : "127.0.0.1") }));
        _sinks.Add(sink);
        var single = Event(1);
        await Deliver(sink, single);
        Assert.Equal(1, asked);
        Assert.Contains("10.0.0.1", single.Failure!.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nobody_listening_no_name_and_no_tls_fail_for_now_and_say_so()
    {
        var free = PostgresServer.FreePort();
        await Fails($"http://127.0.0.1:{free}/x?token=secret", "ConnectionRefused");
        await Fails($"http://nowhere.invalid:{free}/x", "is not known");
        await Fails(_receiver.Url.Replace("http:", "https:", StringComparison.Ordinal), "");

        using var mute = new Server(_ => Task.Delay(Patience));
        await Fails(mute.Url.Replace("http:", "https:", StringComparison.Ordinal), "connect_timeout", c => c with { ConnectTimeout = TimeSpan.FromMilliseconds(200) });
    }

    [Fact]
    public async Task A_receiver_that_hangs_holds_up_no_other()
    {
        _receiver.Handle = async (context, body) =>
        {
            if (context.Request.Path == "/shop.public.hanging")
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
            return _receiver.Keep(body);
        };
        var sink = Open(c => c with { Url = c.Url.Replace("/hook", "/{topic}", StringComparison.Ordinal), Concurrency = 1, Timeout = TimeSpan.FromMinutes(5) });
        var hanging = new TestDelivery(Got.Event("shop.public.hanging", "h", 0));
        sink.Deliver(hanging);
        for (var i = 0; i < 20; i++)
            await Deliver(sink, Event(i));
        Assert.Equal(20, _receiver.Got.Count);
        Assert.False(hanging.Completed.IsCompleted);
        Assert.NotEqual(((ISink)sink).DestinationOf(hanging.Events[0]), ((ISink)sink).DestinationOf(Event(1)));
    }

    [Fact]
    public async Task No_more_requests_run_than_allowed_and_none_with_two_events_of_a_row()
    {
        var (running, most) = (0, 0);
        var rows = new HashSet<string>();
        _receiver.Handle = async (_, body) =>
        {
            var row = Got.Of(body).Row;
            lock (rows)
            {
                most = Math.Max(most, ++running);
                Assert.True(rows.Add(row));
            }

            await Task.Delay(5);
            lock (rows)
            {
                running--;
                rows.Remove(row);
            }

            return _receiver.Keep(body);
        };
        var sink = Open(c => c with { Concurrency = 3 });
        var events = Enumerable.Range(0, 200).Select(i => Got.Event("shop.public.t", $"row{i % 10}", i)).ToArray();
        await Deliver(sink, events);
        Assert.All(events, e => Assert.Null(e.Failure));
        Assert.Equal(3, most);
        foreach (var row in _receiver.Got.GroupBy(g => g.Row))
            Assert.Equal(row.Select(g => g.Number).Order(), row.Select(g => g.Number));
    }

    [Fact]
    public async Task Batches_are_bounded_in_events_and_bytes()
    {
        var sizes = new List<int>();
        _receiver.Handle = (_, body) =>
        {
            lock (sizes)
                sizes.Add(System.Text.Json.JsonDocument.Parse(body).RootElement.GetArrayLength());
            return Task.FromResult(200);
        };
        var sink = Open(c => c with { Batch = new WebhookBatch { Events = 50, Bytes = 1 << 10, Linger = TimeSpan.FromMilliseconds(50) } });
        await Deliver(sink, [.. Enumerable.Range(0, 200).Select(Event)]);
        Assert.Equal(200, sizes.Sum());
        Assert.InRange(sizes.Max(), 25, 45);
        sizes.Clear();
        await Deliver(sink, Got.Event("shop.public.t", "large", 0, isPoison: true), Event(1));
        Assert.Equal([1, 1], sizes);
        sink = Open(c => c with { Batch = new WebhookBatch { Events = 50, Linger = TimeSpan.FromMilliseconds(200) } });
        sizes.Clear();
        var deliveries = Enumerable.Range(0, 120).Select(i => new TestDelivery(Event(i))).ToList();
        deliveries.ForEach(sink.Deliver);
        await Task.WhenAll(deliveries.Select(d => d.Completed)).WaitAsync(Patience);
        Assert.Equal(120, sizes.Sum());
        Assert.Equal(50, sizes.Max());
    }

    [Fact]
    public async Task A_batch_with_several_bad_events_is_split_in_order()
    {
        var sink = Open(c => c with { Batch = new WebhookBatch { Events = 500, Bytes = 8 << 20 } });
        var events = Enumerable.Range(0, 64).Select(i => Got.Event("shop.public.t", $"row{i % 4}", i, isPoison: i is 5 or 6 or 63)).ToArray();
        await Deliver(sink, events);
        Assert.Equal([5, 6, 63], events.Index().Where(e => e.Item.Failure is { IsFinal: true }).Select(e => e.Index));
        foreach (var row in Enumerable.Range(0, 4))
            Assert.Equal(Enumerable.Range(0, 64).Where(i => i % 4 == row && i is not (5 or 6 or 63)), _receiver.Got.Where(g => g.Row == $"row{row}").Select(g => g.Number));
        Assert.InRange(_receiver.Requests, 2, 40);
    }

    [Fact]
    public async Task When_a_receiver_fails_amid_a_split_batch_the_rest_fails_for_now()
    {
        _receiver.Handle = (_, body) => Task.FromResult(_receiver.Requests switch { 1 => 400, 2 => _receiver.Keep(body), _ => 503 });
        var sink = Open(c => c with { Batch = new WebhookBatch { Events = 10 } });
        var events = Enumerable.Range(0, 10).Select(Event).ToArray();
        await Deliver(sink, events);
        Assert.All(events[..5], e => Assert.Null(e.Failure));
        Assert.All(events[5..], e => Assert.True(e.Failure is { IsFinal: false }));
        Assert.Equal(3, _receiver.Requests);
    }

    [Fact]
    public async Task Events_that_come_too_early_take_no_neighbour_with_them_and_nothing_of_their_row_is_sent_before()
    {
        _receiver.Handle = (_, body) => Task.FromResult(Encoding.UTF8.GetString(body).Contains("\"n\":3}", StringComparison.Ordinal) ? 425 : _receiver.Keep(body));
        var sink = Open(c => c with { Batch = new WebhookBatch { Events = 100 } });
        SinkEvent[] events = [.. Enumerable.Range(0, 12).Select(i => Got.Event("shop.public.t", $"r{i / 3}", i))];
        await Deliver(sink, events);
        Assert.Equal([3, 4, 5], events.Index().Where(e => e.Item.Failure is { IsFinal: false, Scope: FailureScope.Event }).Select(e => e.Index));
        Assert.Equal([0, 1, 2, 6, 7, 8, 9, 10, 11], events.Index().Where(e => e.Item.Failure is null).Select(e => e.Index));
        Assert.Equal([0, 1, 2, 6, 7, 8, 9, 10, 11], _receiver.Got.Select(g => g.Number));
    }

    public async ValueTask InitializeAsync() => await _receiver.Start();

    public async ValueTask DisposeAsync()
    {
        foreach (var sink in _sinks)
            await sink.DisposeAsync();
        await _receiver.DisposeAsync();
    }

    private WebhookSinkConfiguration Configuration => new() { Name = "hook", Url = _receiver.Url, Secrets = [WebhookReceiver.Secret], AllowPrivate = true, Timeout = TimeSpan.FromSeconds(20) };

    private WebhookSink Open(Func<WebhookSinkConfiguration, WebhookSinkConfiguration>? with = null, string? resolved = null)
    {
        var sink = new WebhookSink(
            with?.Invoke(Configuration) ?? Configuration,
            TimeProvider.System,
            NullLogger.Instance,
            resolved is null ? null : (_, _) => Task.FromResult(resolved.Split(',').Select(IPAddress.Parse).ToArray()));
        _sinks.Add(sink);
        return sink;
    }

    private async Task Fails(string url, string error, Func<WebhookSinkConfiguration, WebhookSinkConfiguration>? with = null)
    {
        var single = Event(1);
        await Deliver(Open(c => (with?.Invoke(c) ?? c) with { Url = url }), single);
        Assert.True(single.Failure is { IsFinal: false, Scope: FailureScope.Destination }, single.Failure?.Error);
        Assert.Contains(error, single.Failure!.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", single.Failure!.Error, StringComparison.Ordinal);
    }

    private static SinkEvent Event(int number) => Got.Event("shop.public.t", $"r{number}", number);

    private static async Task Deliver(WebhookSink sink, params SinkEvent[] events)
    {
        var delivery = new TestDelivery(events);
        sink.Deliver(delivery);
        await delivery.Completed.WaitAsync(Patience);
    }

    /// <summary>A server that does with each connection what the test says, and then ends it.</summary>
    private sealed class Server : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private int _connections;

        public Server(Func<NetworkStream, Task> serve)
        {
            _listener.Start();
            _ = Task.Run(async () =>
            {
                while (true)
                {
                    using var client = await _listener.AcceptTcpClientAsync();
                    Interlocked.Increment(ref _connections);
                    try
                    {
                        await using var stream = client.GetStream();
                        await serve(stream);
                    }
                    catch (IOException)
                    {
                        // The sink has ended the connection.
                    }
                }
            });
        }

        public string Url => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/x";

        public int Connections => Volatile.Read(ref _connections);

        public void Dispose() => _listener.Dispose();
    }
}
