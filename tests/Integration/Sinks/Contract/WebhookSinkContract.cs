using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Webhook;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CdcOrleans.Integration.Sinks.Contract;

/// <summary>One event in a request.</summary>
public sealed class WebhookSinkContract : SinkContract
{
    private protected override async Task<ContractRig> Start() => await WebhookRig.Start(null);
}

/// <summary>Up to 500 events in a request.</summary>
public sealed class WebhookBatchContract : SinkContract
{
    private protected override async Task<ContractRig> Start() => await WebhookRig.Start(new WebhookBatch { Events = 500, Bytes = 4 << 20, Linger = TimeSpan.FromMilliseconds(2) });
}

internal sealed class WebhookRig : ContractRig
{
    private readonly WebhookReceiver _receiver = new();
    private readonly WebhookBatch? _batch;
    private TimeSpan _delay;
    private TaskCompletionSource? _hanging;
    private bool _isStopped;

    private WebhookRig(WebhookBatch? batch)
    {
        _batch = batch;
        _receiver.Handle = async (context, body) =>
        {
            if (_hanging is { } hanging)
                await hanging.Task.WaitAsync(context.RequestAborted);
            await Task.Delay(_delay, context.RequestAborted);
            return _receiver.Keep(body);
        };
    }

    public static async Task<WebhookRig> Start(WebhookBatch? batch)
    {
        var rig = new WebhookRig(batch);
        await rig._receiver.Start();
        return rig;
    }

    public override string Topic => "shop.public.t";

    public override Func<Task> Hang => () =>
    {
        _hanging = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return Task.CompletedTask;
    };

    // 40 events, 8 requests at a time, a second for each.
    public override TimeSpan? AnswersWithin => TimeSpan.FromSeconds(20);

    public override ISink Open() => new WebhookSink(
        new WebhookSinkConfiguration { Name = "hook", Url = _receiver.Url, Secrets = [WebhookReceiver.Secret], AllowPrivate = true, Timeout = TimeSpan.FromSeconds(1), Batch = _batch },
        TimeProvider.System,
        NullLogger.Instance);

    public override async Task Break()
    {
        await _receiver.Stop();
        _isStopped = true;
    }

    public override async Task Mend()
    {
        if (_isStopped)
            await _receiver.Start();
        _isStopped = false;
        _hanging = null;
    }

    public override bool Slow(TimeSpan time)
    {
        _delay = time;
        return true;
    }

    public override IReadOnlyList<Got> Received(int least) => _receiver.Got;

    public override async ValueTask DisposeAsync()
    {
        await _receiver.DisposeAsync();
        Assert.Equal(0, _receiver.Forged);
    }
}
