using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using Confluent.Kafka;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace CdcOrleans.Testing;

/// <summary>Functions of librdkafka that its .NET client does not show: faults that tests cause on purpose.</summary>
public static class Librdkafka
{
    private const short Produce = 0;

    private delegate int TestFatalError(IntPtr client, int code, [MarshalAs(UnmanagedType.LPUTF8Str)] string reason);

    private delegate IntPtr HandleMockCluster(IntPtr client);

    private delegate int MockBrokerSetRtt(IntPtr cluster, int broker, int milliseconds);

    private delegate void MockPushRequestErrorsArray(IntPtr cluster, short api, UIntPtr count, int[] errors);

    /// <summary>Makes a client fail fatally.</summary>
    public static void Break(Handle client, ErrorCode code)
    {
        var result = Function<TestFatalError>("rd_kafka_test_fatal_error")(Pointer(client), (int)code, "raised by a test");
        if (result != 0)
            throw new InvalidOperationException($"The client did not accept the error {code}: {result}.");
    }

    /// <summary>Makes every answer of a mock broker arrive so much later.</summary>
    public static void AnswerLate(Handle mock, TimeSpan delay) =>
        Function<MockBrokerSetRtt>("rd_kafka_mock_broker_set_rtt")(Cluster(mock), 1, (int)delay.TotalMilliseconds);

    /// <summary>Makes a mock cluster answer the next produce requests with errors, in this order, and store nothing of them.</summary>
    public static void RefuseBatches(Handle mock, params ErrorCode[] errors) =>
        Function<MockPushRequestErrorsArray>("rd_kafka_mock_push_request_errors_array")(
            Cluster(mock), Produce, (UIntPtr)errors.Length, [.. errors.Select(e => (int)e)]);

    private static IntPtr Cluster(Handle mock) => Function<HandleMockCluster>("rd_kafka_handle_mock_cluster")(Pointer(mock));

    private static IntPtr Pointer(Handle client)
    {
        var native = client.GetType().GetProperty("LibrdkafkaHandle", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(client);
        return ((SafeHandle)native!).DangerousGetHandle();
    }

    private static T Function<T>(string name)
        where T : Delegate
    {
        using var process = Process.GetCurrentProcess();
        var library = process.Modules.Cast<ProcessModule>().First(m => m.ModuleName.Contains("librdkafka", StringComparison.Ordinal)).FileName;
        return Marshal.GetDelegateForFunctionPointer<T>(NativeLibrary.GetExport(NativeLibrary.Load(library), name));
    }
}
