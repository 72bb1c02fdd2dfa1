using System.Text;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Gateway.Api;

/// <summary>Converts dead letters, parked events and audit entries to the models of the API.</summary>
internal static class LetterReporting
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static DeadLetterItem Item(LetterSummary letter) => new(
        letter.Id, letter.Source, letter.Sink, letter.Entity.Table, letter.Entity.Key, letter.Version.ToString(), letter.Part, letter.Topic, letter.HasEvent,
        letter.SchemaVersion, letter.Origin.ToString().ToLowerInvariant(), letter.Attempts, letter.FirstFailedAt, letter.LastFailedAt, letter.Error,
        letter.Fingerprint, letter.Bytes, letter.IsRedelivering);

    public static DeadLetterDetail Detail(StoredLetter letter)
    {
        var item = Item(letter.Summary);
        if (!letter.Summary.HasEvent)
            return new DeadLetterDetail(item, null, "There is no event: no format could write the change, or the event was too large to be stored.");
        if (letter.Summary.Bytes > StoredLetter.MostShown)
            return new DeadLetterDetail(item, null, $"The event has {letter.Summary.Bytes} bytes; events of up to {StoredLetter.MostShown} bytes are shown.");
        return new DeadLetterDetail(
            item, new DeadLetterEvent(Content(letter.Key), Content(letter.Value), [.. (letter.Headers ?? []).Select(h => new EventHeader(h.Key, Content(h.Value)!))]), null);
    }

    public static DeadLetterGroup Group(LetterGroup group) => new(
        group.Fingerprint, group.Source, group.Sink, group.Table, group.Error, group.Count, group.FirstFailedAt, group.LastFailedAt);

    public static ParkedItem Parked(ParkedSummary parked) => new(
        parked.Id, parked.Source, parked.Sink, parked.Entity.Table, parked.Entity.Key, parked.Events, parked.Bytes, parked.Attempts, parked.FirstTriedAt,
        parked.DueAt, parked.LastError, parked.IsBlocked);

    public static AuditItem Audit(AuditEntry entry) => new(entry.Id, entry.At, entry.Who, entry.Operation, entry.Arguments, entry.Result);

    private static EventContent? Content(byte[]? bytes)
    {
        if (bytes is null)
            return null;
        try
        {
            return new EventContent(Strict.GetString(bytes), null);
        }
        catch (DecoderFallbackException)
        {
            return new EventContent(null, Convert.ToBase64String(bytes));
        }
    }
}
