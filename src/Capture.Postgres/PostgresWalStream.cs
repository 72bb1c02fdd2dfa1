using System.Runtime.CompilerServices;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using Npgsql.Replication;

namespace CdcOrleans.Capture.Postgres;

/// <summary>
/// Reads committed changes from a slot. While messages are buffered, reading one costs a copy into our buffer and its decoding, without a
/// task or a state machine. Cancelling a read ends the stream.
/// </summary>
internal sealed partial class PostgresWalStream : IWalStream
{
    /// <summary>Largest buffer that is kept for the next message.</summary>
    private const int KeptBuffer = 4 << 20;

    /// <summary>Shortest time between two log messages about values that were left out.</summary>
    private static readonly TimeSpan OmittedPause = TimeSpan.FromSeconds(10);

    private readonly WalStreamSettings _settings;
    private readonly LogicalReplicationConnection _connection;
    private readonly IAsyncEnumerator<XLogDataMessage> _messages;
    private readonly CancellationTokenSource _stop;
    private readonly Acknowledgement _acknowledgement;
    private readonly CaptureObserver _observer;
    private readonly PgOutputDecoder _decoder;
    private readonly ArrivalPace _pace;
    private byte[] _buffer = new byte[64 << 10];
    private int _length;
    private int _received;
    private int _omitted;
    private long? _omittedLoggedAt;
    private bool _isLarge;

    // The current message must be decoded again, because its relation has another schema from here on.
    private bool _isUndecoded;

    // The reader has forgotten the rows that were doubted up to here. That must be recorded.
    private bool _isSettling;

    // The pending move to the next message, while it waits for the server.
    private volatile Task<bool>? _moving;
    private CaptureException? _failed;

    private PostgresWalStream(
        WalStreamSettings settings, LogicalReplicationConnection connection, IAsyncEnumerator<XLogDataMessage> messages, Task<bool> moving,
        CancellationTokenSource stop, Lsn confirmed)
    {
        _settings = settings;
        _connection = connection;
        _messages = messages;
        _moving = moving;
        _stop = stop;
        _acknowledgement = new Acknowledgement(confirmed);
        _pace = new ArrivalPace(settings.Time);
        _observer = new CaptureObserver(settings.Source.Name);
        _decoder = new PgOutputDecoder(settings.Source, _acknowledgement, _observer);
        _feedback = GiveFeedback();
    }

    private enum Step
    {
        Move,
        Receive,
        Decode,
        Announce,
        AnnounceAgain,
        Join,
        Settle,
    }

    /// <inheritdoc />
    public ValueTask<WalItem> Read(CancellationToken cancellation)
    {
        if (_decoder.TryTakeQueued(out var queued))
            return new ValueTask<WalItem>(queued);
        if (_moving is not null || _failed is not null || _pace.PauseDue || _isUndecoded || _isSettling)
            return ReadOn(_isUndecoded ? Step.Decode : Step.Move, cancellation);
        if (cancellation.IsCancellationRequested)
            return ValueTask.FromCanceled<WalItem>(cancellation);
        try
        {
            while (true)
            {
                var move = _messages.MoveNextAsync();
                if (!move.IsCompletedSuccessfully)
                {
                    _moving = move.AsTask();
                    return ReadOn(Step.Move, cancellation);
                }

                if (!move.Result)
                    return ValueTask.FromException<WalItem>(Fail(Ended()));
                if (!ReceiveBuffered(waited: false))
                    return ReadOn(Step.Receive, cancellation);
                switch (Decode(out var item))
                {
                    case Decoded.Item:
                        return new ValueTask<WalItem>(item);
                    case Decoded.Nothing:
                        break;
                    case var decoded:
                        return ReadOn(After(decoded), cancellation);
                }
            }
        }
        catch (Exception exception)
        {
            return ValueTask.FromException<WalItem>(Fail(exception));
        }
    }

    /// <inheritdoc />
    public void Confirm(Lsn position) => _acknowledgement.Confirm(position);

    private Lsn Position => new((ulong)_messages.Current.WalStart);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<WalItem> ReadOn(Step step, CancellationToken cancellation)
    {
        if (_failed is { } failed)
            throw new CaptureException(failed.Message, failed.Transient, failed);
        var waited = false;
        await using var registration = cancellation.UnsafeRegister(static stream => ((PostgresWalStream)stream!).StopSoon(), this);
        try
        {
            if (_isSettling)
            {
                await _settings.Announcer.Settled(cancellation);
                _isSettling = false;
            }

            while (true)
            {
                switch (step)
                {
                    case Step.Move:
                        if (_pace.PauseDue)
                        {
                            _pace.Paused();
                            await Task.Delay(ArrivalPace.Pause, _settings.Time, _stop.Token);
                        }

                        var moving = _moving ??= _messages.MoveNextAsync().AsTask();
                        waited = !moving.IsCompleted;
                        var moved = await moving;
                        _moving = null;
                        if (!moved)
                            throw Ended();
                        step = ReceiveBuffered(waited) ? Step.Decode : Step.Receive;
                        break;
                    case Step.Receive:
                        await Receive(_messages.Current.Data);
                        step = Step.Decode;
                        break;
                    case Step.Decode:
                        _isUndecoded = false;
                        var decoded = Decode(out var item);
                        if (decoded == Decoded.Item)
                            return item;
                        step = After(decoded);
                        break;
                    case Step.Announce or Step.AnnounceAgain:
                        _isUndecoded = step == Step.AnnounceAgain;
                        var announced = await Announce(_isUndecoded ? _decoder.Expired!.Announcement : _buffer.AsSpan(0, _length).ToArray(), cancellation);
                        if (announced.Forgotten.Count > 0)
                            return Forget(announced.Forgotten);
                        step = _isUndecoded ? Step.Decode : Step.Move;
                        break;
                    case Step.Join:
                        var joined = await _settings.Announcer.KnownTables(_decoder.Joined, cancellation);
                        if (joined.Count > 0)
                            return Forget(joined);
                        step = Step.Move;
                        break;
                    case Step.Settle:
                        var doubted = _settings.Announcer.Settle(_decoder.At);
                        _decoder.DoubtedUntil = _settings.Announcer.DoubtedUntil;
                        _isSettling = true;
                        return Forget(doubted);
                }
            }
        }
        catch (Exception exception)
        {
            if (!cancellation.IsCancellationRequested && !_stop.IsCancellationRequested)
                throw Fail(exception);
            Fail(new CaptureException($"sources.{_settings.Source.Name}: the stream was stopped. Start it again.", transient: true));
            throw new OperationCanceledException("The stream was stopped.", exception, cancellation);
        }
    }

    // Copies the part of the message that Npgsql has buffered. Returns false when the rest must be awaited.
    private bool ReceiveBuffered(bool waited)
    {
        _acknowledgement.Reading();
        var message = _messages.Current;
        _pace.Taken(message.ServerClock, waited);
        var data = message.Data;
        _decoder.HasOmitted = false;
        _length = _received = 0;
        _isLarge = data.Length > _settings.Source.LargeValues.Limit;
        if (_isLarge)
            return false;
        _length = (int)data.Length;
        if (_length > _buffer.Length || _buffer.Length > KeptBuffer)
            _buffer = new byte[_length > KeptBuffer ? _length : int.Max(_length, int.Min(2 * _buffer.Length, KeptBuffer))];
        _received = data.Read(_buffer.AsSpan(0, _length));
        return _received == _length;
    }

    private Decoded Decode(out WalItem item)
    {
        var decoded = _decoder.Decode(_buffer.AsSpan(0, _length), Position, _messages.Current.ServerClock, out item);
        _acknowledgement.Read();
        if (_decoder.HasOmitted && decoded == Decoded.Item)
            ReportOmitted();
        _omitted = 0;
        return decoded;
    }

    // One statement may change millions of such rows. The metric counts all of them; the log mentions one from time to time.
    private void ReportOmitted()
    {
        // A value that the decoder itself left out is the content of a logical message, so it is one value.
        _omitted = int.Max(_omitted, 1);
        _observer.ValuesOmitted(_omitted);
        if (_omittedLoggedAt is { } last && _settings.Time.GetElapsedTime(last) < OmittedPause)
            return;
        _omittedLoggedAt = _settings.Time.GetTimestamp();
        _settings.Logger.ValuesOmitted(_settings.Source.Name, _omitted, _settings.Source.LargeValues.Limit, Position);
    }

    private async Task Receive(Stream data)
    {
        if (!_isLarge)
        {
            await data.ReadExactlyAsync(_buffer.AsMemory(_received, _length - _received), _stop.Token);
            return;
        }

        (_buffer, _omitted) = await LargeMessage.Read(data, _settings.Source.LargeValues.Limit, _stop.Token);
        _length = _buffer.Length;
        _decoder.HasOmitted = _omitted > 0;
    }

    private static Step After(Decoded decoded) => decoded switch
    {
        Decoded.Relation => Step.Announce,
        Decoded.Expired => Step.AnnounceAgain,
        Decoded.Joined => Step.Join,
        Decoded.Settled => Step.Settle,
        _ => Step.Move,
    };

    private WalItem Forget(IReadOnlyList<int> tables) => new(WalItemKind.Forget, null, null, Lsn.None, new ForgottenTables(tables, _decoder.At));

    private async Task<CapturedRelation> Announce(byte[] announcement, CancellationToken cancellation)
    {
        var relation = Relation(announcement) with { TypeNames = _decoder.TypeNames };
        var captured = await _settings.Announcer.Announce(relation, announcement, _decoder.Here, cancellation);
        _decoder.Announce(relation.Oid, captured);
        _decoder.DoubtedUntil = _settings.Announcer.DoubtedUntil;
        return captured;

        static RelationMessage Relation(byte[] announcement)
        {
            var reader = new WireReader(announcement.AsSpan(1));
            return RelationMessage.Read(ref reader);
        }
    }

    private CaptureException Ended() =>
        new($"sources.{_settings.Source.Name}.postgres.connection: {_settings.Place.Description} ended the stream. Check the server's log.", transient: true);

    private CaptureException Fail(Exception exception)
    {
        _moving = null;
        return _failed = _settings.Failure.Of(exception, "streaming");
    }
}
