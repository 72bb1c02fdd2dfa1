using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Sinks;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>
/// Sends requests and judges what comes of them. Addresses are checked when they are connected to: the name is resolved here, and the
/// connection goes to an address that was checked. Safe for concurrent use.
/// </summary>
internal sealed class WebhookClient : IDisposable
{
    /// <summary>Bytes of an answer's body that are read, so that its connection can be used again. They are dropped.</summary>
    private const int MostBodyBytes = 16 << 10;

    private static readonly ProductInfoHeaderValue Agent = new("CdcOrleans", typeof(WebhookClient).Assembly.GetName().Version!.ToString(3));

    private readonly WebhookSinkConfiguration _configuration;
    private readonly TimeProvider _time;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve;
    private readonly AuthenticationHeaderValue? _credentials;
    private readonly WebhookSecret[] _secrets;
    private readonly HttpClient _http;

    /// <param name="configuration">The sink.</param>
    /// <param name="credentials">The header <c>Authorization</c>; null for none.</param>
    /// <param name="secrets">The secrets.</param>
    /// <param name="time">The clock.</param>
    /// <param name="resolve">Resolves names; null takes the system's resolver.</param>
    public WebhookClient(
        WebhookSinkConfiguration configuration, AuthenticationHeaderValue? credentials, WebhookSecret[] secrets, TimeProvider time,
        Func<string, CancellationToken, Task<IPAddress[]>>? resolve)
    {
        _configuration = configuration;
        _credentials = credentials;
        _secrets = secrets;
        _time = time;
        _resolve = resolve ?? Dns.GetHostAddressesAsync;
        _http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = (context, cancellation) => Connect(context.DnsEndPoint, cancellation),
            ConnectTimeout = configuration.ConnectTimeout,
            // A proxy would connect to addresses that nobody has checked.
            UseProxy = false,
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            MaxResponseHeadersLength = 32,
            MaxResponseDrainSize = MostBodyBytes,
            ResponseDrainTimeout = TimeSpan.FromSeconds(1),
            PooledConnectionLifetime = TimeSpan.FromMinutes(2),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    /// <summary>Sends a request. Never throws.</summary>
    /// <param name="target">Where it goes.</param>
    /// <param name="message">Its content.</param>
    /// <param name="abort">Ends the request, because the sink is closed.</param>
    public async Task<WebhookAnswer> Send(WebhookTarget target, WebhookMessage message, CancellationToken abort)
    {
        using var limit = new CancellationTokenSource(_configuration.Timeout, _time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, abort);
        try
        {
            using var request = Request(target.Address, message);
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop.Token).ConfigureAwait(false);
            return WebhookAnswer.Of(target.Shown, target.Name, (int)response.StatusCode, RetryAfter(response), _configuration.RetryStatuses);
        }
        catch (OperationCanceledException) when (abort.IsCancellationRequested)
        {
            return new WebhookAnswer(WebhookSink.Closing, IsAnswered: false);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            return WebhookAnswer.Failed(target.Name, $"{target.Shown} has not answered within {Seconds(_configuration.Timeout)} s (timeout). It may have the event all the same, which is sent again.");
        }
        catch (Exception failure) when (Exhaustion.IsCauseOf(failure))
        {
            return new WebhookAnswer(DeliveryFailure.OfEvent("The process lacks memory."), IsAnswered: true);
        }
#pragma warning disable CA1031 // Whatever went wrong, the events must have an outcome; and what is not known can be mended.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            return WebhookAnswer.Failed(target.Name, Describe(target.Shown, failure));
        }
    }

    /// <summary>Connects to an address and sends nothing. Returns what is wrong; null when nothing is.</summary>
    public async Task<string?> Test(Uri address, TimeSpan limit, CancellationToken cancellation)
    {
        // The path may have place holders.
        var shown = address.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped);
        using var late = new CancellationTokenSource(limit, _time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        try
        {
            await using var connection = await Connect(new DnsEndPoint(address.IdnHost, address.Port), stop.Token).ConfigureAwait(false);
            if (address.Scheme != Uri.UriSchemeHttps)
                return null;
            await using var secure = new SslStream(connection, leaveInnerStreamOpen: true);
            await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = address.IdnHost }, stop.Token).ConfigureAwait(false);
            return null;
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            return $"{shown} cannot be connected to within {Seconds(limit)} s.";
        }
#pragma warning disable CA1031 // Whatever went wrong is the answer.
        catch (Exception failure) when (!cancellation.IsCancellationRequested)
#pragma warning restore CA1031
        {
            return Describe(shown, failure);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _http.Dispose();

    private HttpRequestMessage Request(Uri address, WebhookMessage message)
    {
        var timestamp = _time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var content = new ByteArrayContent(message.Body);
        content.Headers.TryAddWithoutValidation("content-type", message.ContentType);
        var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = content };
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue(Agent.Product!));
        request.Headers.Authorization = _credentials;
        request.Headers.TryAddWithoutValidation("webhook-id", message.Id);
        request.Headers.TryAddWithoutValidation("webhook-timestamp", timestamp);
        request.Headers.TryAddWithoutValidation("webhook-signature", string.Join(' ', _secrets.Select(s => s.Sign(message.Id, timestamp, message.Body))));
        foreach (var (name, value) in message.Headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return request;
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date - _time.GetUtcNow(),
        _ => null,
    };

    private async ValueTask<Stream> Connect(DnsEndPoint end, CancellationToken cancellation)
    {
        var host = end.Host;
        var addresses = IPAddress.TryParse(host, out var literal) ? [literal] : await _resolve(host, cancellation).ConfigureAwait(false);
        var allowed = _configuration.AllowPrivate ? addresses : Array.FindAll(addresses, a => !PrivateNetworks.Contain(a));
        if (allowed.Length == 0)
            throw new PrivateAddressException(addresses);
        Exception? failure = null;
        foreach (var address in allowed)
        {
            var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(new IPEndPoint(address, end.Port), cancellation).ConfigureAwait(false);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (SocketException refused)
            {
                socket.Dispose();
                failure = refused;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }

        throw failure!;
    }

    // Words of our own: other texts may have the whole address in them.
    private string Describe(string shown, Exception failure)
    {
        for (var cause = failure; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case PrivateAddressException isPrivate:
                    return $"{shown} has {isPrivate.Message}, which is not of the public internet. Correct the url, or set the sink's private_addresses: allow.";
                case AuthenticationException tls:
                    return $"TLS with {shown} failed: {tls.Message} Renew its certificate, or trust the authority that issued it.";
                case SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain }:
                    return $"The name of {shown} is not known. Correct the url, or the name's entry in DNS.";
                case SocketException socket:
                    return $"{shown} cannot be reached: {socket.SocketErrorCode}.";
                case TimeoutException:
                    return $"{shown} cannot be connected to within {Seconds(_configuration.ConnectTimeout)} s (connect_timeout).";
                case HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.ResponseEnded }:
                    return $"{shown} did not answer in HTTP. Look whether the url leads to the receiver.";
                case HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded }:
                    return $"{shown} answered with headers that are too long.";
            }
        }

        return failure is OperationCanceledException
            ? $"{shown} cannot be connected to within {Seconds(_configuration.ConnectTimeout)} s (connect_timeout)."
            : $"A request to {shown} failed: {(failure is HttpRequestException http ? http.HttpRequestError.ToString() : failure.GetType().Name)}.";
    }

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture);

    private sealed class PrivateAddressException(IPAddress[] addresses)
        : Exception(addresses.Length == 0 ? "no address" : $"the address {addresses[0]}");
}
