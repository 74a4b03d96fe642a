// What nobody sees at once, in one piece: dialogs, panels, the lightbox, voice messages.

export { default as AddContact } from "../contact/AddContact.svelte";
export { default as ContactPanel } from "../contact/ContactPanel.svelte";
export { default as RenameContact } from "../contact/RenameContact.svelte";
export { default as SearchPanel } from "../find/SearchPanel.svelte";
export { default as Switcher } from "../find/Switcher.svelte";
export { default as BrowseRooms } from "../room/BrowseRooms.svelte";
export { default as CreateRoom } from "../room/CreateRoom.svelte";
export { default as Invite } from "../room/Invite.svelte";
export { default as RoomPanel } from "../room/RoomPanel.svelte";
export { default as RoomSettings } from "../room/RoomSettings.svelte";
export { default as Settings } from "../settings/Settings.svelte";
export { default as Shortcuts } from "../settings/Shortcuts.svelte";
export { default as GoToDate } from "../talk/GoToDate.svelte";
export { default as Lightbox } from "../talk/Lightbox.svelte";
export { default as VoicePlayer } from "../talk/VoicePlayer.svelte";
export { default as VoiceRecorder } from "../talk/VoiceRecorder.svelte";
