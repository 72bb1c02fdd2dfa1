using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using CdcOrleans.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks;
using CdcOrleans.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CdcOrleans.Integration.Sinks;

/// <summary>A broker that speaks TLS and asks for a name and a password.</summary>
public sealed class KafkaSecurityTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("cdc-tls-").FullName;

    [Fact]
    public async Task Only_the_right_certificate_and_the_right_password_deliver()
    {
        var (port, secure) = (PostgresServer.FreePort(), PostgresServer.FreePort());
        using var authority = Authority("right");
        using var stranger = Authority("wrong");
        WriteServer(authority);
        await File.WriteAllTextAsync(Path.Combine(_folder, "ca.pem"), authority.ExportCertificatePem(), TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(_folder, "stranger.pem"), stranger.ExportCertificatePem(), TestContext.Current.CancellationToken);
        await using var broker = await KafkaBroker.Start(
            port,
            $"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 100},SECURE://127.0.0.1:{secure}",
            $"advertised.listeners=PLAINTEXT://127.0.0.1:{port},SECURE://127.0.0.1:{secure}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
            "sasl.enabled.mechanisms=PLAIN",
            "listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_writer=\"right-password\";",
            "ssl.keystore.type=PEM",
            $"ssl.keystore.location={Path.Combine(_folder, "server.pem")}");
        Assert.SkipUnless(broker.IsOurs, $"Needs a broker of its own with TLS; this is {broker.Kind}.");
        var topic = await KafkaTopic.Create(broker, partitions: 1);

        await Delivers("127.0.0.1", "ca.pem", "right-password");
        await Fails("127.0.0.1", "ca.pem", "wrong-password", "uthentication");
        await Fails("127.0.0.1", "stranger.pem", "right-password", "certificate");

        // The certificate is not of this name.
        await Fails("localhost", "ca.pem", "right-password", "certificate");
        Assert.Equal("right-password", KafkaTopic.Text(Assert.Single(topic.Read(1)).Message.Value));

        async Task Delivers(string host, string ca, string password)
        {
            await using var sink = Open(host, ca, password);
            var single = TestDelivery.Event(topic.Name, "1", password);
            var delivery = new TestDelivery(single);
            sink.Deliver(delivery);
            await delivery.Completed.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
            Assert.Null(single.Failure?.Error);
        }

        async Task Fails(string host, string ca, string password, string error)
        {
            await using var sink = Open(host, ca, password);
            var delivery = new TestDelivery(TestDelivery.Event(topic.Name, "1", password));
            sink.Deliver(delivery);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            while (sink.Status.LastError?.Contains(error, StringComparison.OrdinalIgnoreCase) != true)
            {
                Assert.False(patience.IsCancellationRequested, $"The status has not '{error}': {sink.Status.LastError}");
                await Task.Delay(50, TestContext.Current.CancellationToken);
            }

            Assert.DoesNotContain(password, sink.Status.LastError, StringComparison.Ordinal);
            Assert.False(sink.Status.Healthy);
            Assert.False(delivery.Completed.IsCompleted);
        }

        ISink Open(string host, string ca, string password)
        {
            var file = Path.Combine(_folder, "cdc.yaml");
            File.WriteAllText(file, $$"""
                cluster: { id: secure }
                control: { connection: Host=127.0.0.1;Database=c }
                sources:
                  shop: { postgres: { connection: Host=127.0.0.1;Database=d }, tables: ["public.*"] }
                sinks:
                  secure: { type: kafka, bootstrap: "{{host}}:{{secure}}", tls: { ca: {{ca}} }, sasl: { mechanism: PLAIN, username: writer, password: {{password}} } }
                routes:
                  - { from: "shop.*", to: secure }
                """);
            return new SinkFactory(TimeProvider.System, NullLoggerFactory.Instance).Create(ConfigurationFile.Load(file, SinkTypes.All).Sinks["secure"]);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static X509Certificate2 Authority(string name)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private void WriteServer(X509Certificate2 authority)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=broker", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(authority, DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddHours(20), [1, 2, 3, 4]);
        File.WriteAllText(Path.Combine(_folder, "server.pem"), $"{key.ExportPkcs8PrivateKeyPem()}\n{certificate.ExportCertificatePem()}\n");
    }
}
