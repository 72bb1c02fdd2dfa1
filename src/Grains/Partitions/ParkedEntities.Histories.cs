using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <content>
/// How the past changes of entities are sent to a sink again. As for a dead letter, the entity must first have nothing on its way to the
/// sink, and must park its next events. Then its changes up to there are read from the journal and sent, page by page. Its next events
/// follow behind the last page. Events that cannot be sent are parked, and then so are all that follow.
/// </content>
internal sealed partial class ParkedEntities
{
    // Entities that wait for their next page.
    private readonly List<ParkedEntity> _reading = [];

    private bool _isReadingHistories;
    private Task _read = Task.CompletedTask;

    // Pages that the sinks have, or that wait to be passed. The next ones are read after them, so that few are in memory.
    private int _pages;

    /// <summary>Takes a history that is done; set by the partition.</summary>
    public Action<EntityHistory> HistoryDone { get; set; } = _ => { };

    /// <summary>Version of the last change that the partition has accepted; set by the partition.</summary>
    public Func<ChangeVersion> Accepted { get; set; } = () => ChangeVersion.None;

    /// <summary>The last read of histories, which waits until what was sent before is durable. Any thread.</summary>
    public Task HistoriesAreRead => _read;

    /// <summary>No state that was stored when the partition started has a higher version; set by the partition.</summary>
    public ChangeVersion High { get; set; }

    /// <summary>Whether no change of an entity is in progress; set by the partition.</summary>
    public Func<EntityKey, bool> IsIdle { get; set; } = _ => true;

    /// <summary>Reads what can be read now. Called at the end of a turn.</summary>
    public void EndTurn()
    {
        if (_reading.Count > 0)
            ReadHistories();
    }

    /// <summary>Begins to send the past changes of an entity.</summary>
    public void BeginHistory(EntityKey entity, ReplayWork work)
    {
        var parked = Get(entity, work.Target);
        var history = new EntityHistory(work);

        // A part of an earlier run may still be sending it.
        if (parked.History is { } before)
            before.Append(history);
        else
            Begin(parked, history);
    }

    /// <summary>Takes pages that were read; null when they could not be read.</summary>
    public void HistoriesRead(IReadOnlyList<ParkedEntity> entities, IReadOnlyList<HistoryEvents>? pages, string? error)
    {
        _isReadingHistories = false;
        _source.Figures.ParkedRead(error);
        if (pages is null)
        {
            // They are read at the next look at what is due.
            _reading.AddRange(entities);
            return;
        }

        for (var i = 0; i < entities.Count; i++)
        {
            var (parked, page) = (entities[i], pages[i]);
            var history = parked.History!;
            history.At = page.Next;
            history.Page = page.Events;
            for (var what = 0; what < page.Finished.Length; what++)
                history.Finished[what] += page.Finished[what];
            foreach (var letter in page.Letters)
                _buffer.Add(letter);
            history.Refused += page.Letters.Count;
            _source.Figures.DeadLetters(page.Letters.Count);
            _pages++;
            SendPage(parked, history);
        }

        ReadHistories();
    }

    /// <summary>Takes the answer of the sink for events of a history.</summary>
    public void HistorySent(ParkedAttempt attempt)
    {
        var parked = attempt.Entity;
        var history = parked.History!;
        var outlet = parked.Outlet;
        if (attempt.Events[0].Failure is { IsFinal: false } outage)
            outlet.Failed(outage, TimeSpan.Zero);
        else
            outlet.Succeeded(null, attempt.Events[0]);
        var now = _source.Time.GetUtcNow();
        var done = 0;
        foreach (var made in attempt.Events)
        {
            if (made.Failure is { IsFinal: false } failure)
            {
                history.IsParking = history.HasFailed = true;
                parked.Attempts = 1;
                parked.FirstTriedAt = now;
                parked.LastError = failure.Error;
                parked.DueAt = failure.Scope == FailureScope.Event ? now + WaitAfter(parked, failure) : now + Postponed;
                break;
            }

            done++;
            if (made.Failure is not { } refused)
                continue;
            _buffer.Add(outlet.LetterOf(made, 1, now));
            history.Refused++;
            _source.Figures.DeadLetters(1);
            if (parked.Policy.Poison != PoisonPolicy.Block)
                continue;
            history.IsParking = true;
            Block(parked, refused.Error);
            break;
        }

        history.Page = [.. history.Page.Skip(done)];
        SendPage(parked, history);
        ReadHistories();
    }

    private void Begin(ParkedEntity parked, EntityHistory history)
    {
        parked.History = history;
        _joining.Add(parked);
        Join(parked);
    }

    private static bool NeedsPlace(ParkedEntity parked) => parked.History is { IsPlaced: false };

    // All changes of the entity that were sent before have at most the version up to which is read, and all that are parked from now on have
    // a higher one. Returns false if that version is not known yet.
    private bool TryPlace(ParkedEntity parked, KnownState? known, bool isAsleep)
    {
        if (!NeedsPlace(parked))
            return true;
        ChangeVersion upTo;
        known ??= parked.Read;
        if (known is not null)
            upTo = known.State?.Version ?? _buffer.Progress;
        else if (_buffer.Find(parked.Key) is { } recent)
            upTo = recent.Version;
        else if (isAsleep && Accepted() >= High)
            upTo = Accepted();
        else
        {
            // After a crash, the stored state may be ahead of what was accepted since.
            if (isAsleep && !parked.IsReading)
            {
                parked.IsReading = true;
                _ = ReadState(parked, parked.Newest);
            }

            return false;
        }

        var history = parked.History!;
        var place = LastPlace(parked);
        var turn = NextTurn(parked, place);
        history.PlaceAt(place, turn, new HistoryPlace(parked.Key.Key, upTo));
        history.IsFinished = known is not { IsInProgress: true };
        history.IsParking = parked.Events > 0 || parked.IsBlocked || parked.Outstanding > 0;
        parked.Newest = new ParkedPosition(place, ChangeVersion.None, 0) { Turn = turn + EntityHistory.Turns - 1 };
        _reading.Add(parked);
        return true;
    }

    // Whether its changes that were sent before are finished. They may still be on their way to other sinks, and are not in the journal then.
    private bool IsFinished(ParkedEntity parked)
    {
        var history = parked.History!;
        var upTo = history.At!.UpTo;
        return history.IsFinished = history.IsFinished || upTo <= _buffer.Progress || _buffer.Find(parked.Key)?.Version >= upTo || IsIdle(parked.Key);
    }

    // Those of one part of a replay together.
    private void ReadHistories()
    {
        if (_isReadingHistories || _pages > 0 || _isStopped || _reading.Find(IsFinished) is not { } first)
            return;
        var work = first.History!.Work;
        var some = _reading.FindAll(p => p.History!.Work == work && IsFinished(p));
        _reading.RemoveAll(some.Contains);
        _isReadingHistories = true;
        _read = ReadPages(work, some);
    }

    private async Task ReadPages(ReplayWork work, List<ParkedEntity> entities)
    {
        IReadOnlyList<HistoryEvents>? pages = null;
        string? error = null;
        List<HistoryPlace> places = entities.ConvertAll(p => p.History!.At!);
        try
        {
            // What was sent before must be in the journal.
            if (places.Exists(p => p.Last is null))
                await _buffer.WhenDurable().ConfigureAwait(false);
            pages = await HistoryReader.Read(_source, work, places).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // The control database may be out of reach. The pages are read again later.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            error = exception.Message;
        }

        _answer(new HistoryPagesRead(entities, pages, error));
    }

    private void SendPage(ParkedEntity parked, EntityHistory history)
    {
        if (history.Page.Count > 0 && !history.IsParking && parked.Outlet.TryPass(history.Page[0]))
        {
            // Events of an entity may block each other, so they are passed one by one.
            var most = parked.Policy.Poison == PoisonPolicy.Block ? 1 : history.Page.Count;
            List<ParkedEvent> some = [.. history.Page.Take(most).Select(e => new ParkedEvent(parked.Outlet.Name, history.Place, e, default))];
            parked.Outlet.DeliverAgain(new ParkedAttempt(parked, some, a => _answer(new HistoryPageSent(a))));
            return;
        }

        if (history.Page.Count > 0)
            ParkPage(parked, history);
        _pages--;
        if (history.At is not null)
            _reading.Add(parked);
        else
            EndHistory(parked, history);
    }

    private void ParkPage(ParkedEntity parked, EntityHistory history)
    {
        var now = _source.Time.GetUtcNow();
        history.IsParking = true;

        // The first of them may go elsewhere than what is parked behind it.
        parked.Destination = null;
        if (parked.Events == 0 && !history.HasFailed)
        {
            parked.Attempts = 0;
            parked.FirstTriedAt = parked.DueAt = now;
        }

        foreach (var made in history.Page)
        {
            made.Failure = null;
            var one = history.AsParked(parked.Outlet.Name, made, now);
            if (made.Size > ParkedEvent.MostBytes)
            {
                made.Failure = DeliveryFailure.Refused($"An event of {made.Size} bytes is too large to be parked. {parked.LastError}");
                _buffer.Add(parked.Outlet.LetterOf(made, 1, now));
                _source.Figures.DeadLetters(1);
                history.Refused++;
                continue;
            }

            // Later events of the entity may be parked already, and be durable before.
            parked.Front.Add(one.Position);
            parked.Events++;
            parked.Bytes += made.Size;
            parked.Outlet.CountParked(1, made.Size);
            history.Parked++;
            _buffer.Park(one, parked.State);
        }

        history.Page = [];
    }

    private void EndHistory(ParkedEntity parked, EntityHistory history)
    {
        parked.History = null;
        HistoryDone(history);
        if (history.Next is { } next)
            Begin(parked, next);
        if (parked.IsEmpty)
            GoOn(parked);
        else
            Enqueue(parked);
    }
}
